/**
 * Reads a folder of migrations: `001_name.sql`, `002_name.sql`, … An applied file must not change: its
 * checksum is in the ledger of every schema.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSql, type SqlText, SqlTextError, type Statement } from './sql_text.ts';
import { areAdditive, refusalOf } from './statement_rules.ts';

export type Migration = {
  version: number;
  name: string;
  checksum: string;
  statements: readonly Statement[];
  /** True when servers that do not know the file cannot serve a tenant that has it. */
  breaking: boolean;
  /** True when its statements only add objects, and leave nothing in the session. */
  additive: boolean;
};

const fileName = /^(\d{3})_([a-z0-9_]+)\.sql$/;

/**
 * Returns the files in order; version = position + 1.
 *
 * @param others files of the folder that are no migrations.
 * @throws {Error} when a file's name is invalid, a number is missing, or a text cannot be applied.
 */
export async function readMigrations(
  folder: string,
  others: readonly string[] = [],
): Promise<Migration[]> {
  const names = (await readdir(folder))
    .filter((name) => name.endsWith('.sql') && !others.includes(name))
    .sort();
  return Promise.all(names.map((name, index) => readFileOf(folder, name, index + 1)));
}

async function readFileOf(folder: string, file: string, expected: number): Promise<Migration> {
  const [, digits, name] = fileName.exec(file) ?? [];
  if (!digits || !name || Number(digits) !== expected) {
    const wanted = String(expected).padStart(3, '0');
    throw new Error(`Cannot read migrations: expected "${wanted}_<name>.sql", found "${file}"`);
  }
  return migrationOf(expected, name, decoded(await readFile(join(folder, file)), file));
}

/** A file's text, without its byte order mark. */
function decoded(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`Cannot read migrations: "${file}" is not in UTF-8`);
  }
}

/** @throws {Error} naming the line of the first statement that a migration must not contain. */
export function migrationOf(version: number, name: string, text: string): Migration {
  try {
    const sql = readSql(text);
    for (const statement of sql.statements) {
      const refusal = refusalOf(statement);
      if (refusal !== null) throw new SqlTextError(statement.line, refusal);
    }
    return {
      version,
      name,
      checksum: digestOf(text),
      statements: sql.statements,
      breaking: isBreaking(sql),
      additive: areAdditive(sql.statements),
    };
  } catch (error) {
    throw inFile(error, { version, name });
  }
}

/** The version that servers must know once these files are applied; 0 when there is none. */
export function requiredBy(files: readonly Migration[]): number {
  return Math.max(0, ...files.filter(({ breaking }) => breaking).map(({ version }) => version));
}

/** The statements with the roles filled in. @throws {Error} naming the line of an unknown variable. */
export function statementsIn(
  migration: Migration,
  roles: Readonly<Record<string, string>>,
): string[] {
  try {
    return migration.statements.map((statement) => statement.withVariables(roles));
  } catch (error) {
    throw inFile(error, migration);
  }
}

function inFile(error: unknown, { version, name }: Pick<Migration, 'version' | 'name'>): unknown {
  if (!(error instanceof SqlTextError)) return error;
  const file = fileNameOf({ version, name });
  return new Error(`Cannot apply "${file}", line ${error.line}: ${error.message}`);
}

export function fileNameOf({ version, name }: Pick<Migration, 'version' | 'name'>): string {
  return `${String(version).padStart(3, '0')}_${name}.sql`;
}

const marker = /^--\s*servers\s*:\s*(.*?)\s*$/i;

const breakingByMarker: Readonly<Record<string, boolean>> = {
  'compatible with the version before': false,
  'must know this file': true,
};

/** As the marker in the file says; without one, every file that is not surely additive is breaking. */
function isBreaking({ statements, comments }: SqlText): boolean {
  const markers = comments.flatMap(({ text, line }) => {
    const [, value] = marker.exec(text) ?? [];
    return value === undefined ? [] : [{ line, value: value.replace(/\.$/, '').toLowerCase() }];
  });
  const [first, second] = markers;
  if (!first) return !areAdditive(statements);
  if (second) throw new SqlTextError(second.line, 'there is a second "-- Servers:" line');
  const breaking = Object.hasOwn(breakingByMarker, first.value)
    ? breakingByMarker[first.value]
    : undefined;
  if (breaking !== undefined) return breaking;
  const known = Object.keys(breakingByMarker).map((value) => `"-- Servers: ${value}"`);
  throw new SqlTextError(first.line, `expected ${known.join(' or ')}`);
}

/** The digest of a text with LF line ends, because a checkout on Windows is no edit. */
function digestOf(text: string): string {
  return createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
}
