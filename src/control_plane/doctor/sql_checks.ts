/**
 * The checks that are SQL. A file of `sql/doctor` examines one subject: each of its statements is a query
 * that returns findings (in `catalog.sql`, facts), and a line of its head says where it is run (`-- Run in:
 * each database`). Checks that are run together are joined to one query, to save round trips.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Sql } from '../../kernel/ports.ts';
import { asTemplate } from '../as_template.ts';
import { readSql, type Statement } from '../migrations/sql_text.ts';
import type { Finding } from './finding.ts';

/** The places where files are run. */
export type Scope =
  | 'the main database'
  | 'each database'
  | 'each database, as a superuser'
  | 'each session'
  | 'each placement';

/** The values of `:'name'` in a file, as in psql. */
export type Variables = Readonly<Record<string, string>>;

type SqlFile = { name: string; text: string; scope: string; statements: readonly Statement[] };

const folder = new URL('../../../sql/doctor/', import.meta.url);

let files: Promise<readonly SqlFile[]> | undefined;
let classes: Promise<string> | undefined;

/** Returns all files; they are read once. */
export function sqlFiles(): Promise<readonly SqlFile[]> {
  files ??= readFiles();
  return files;
}

/** Runs the checks of these scopes or file names, and returns their findings. */
export async function runChecks(
  sql: Sql,
  chosen: readonly (Scope | `${string}.sql`)[],
  variables: Variables,
): Promise<Finding[]> {
  const asked = (await sqlFiles()).filter(
    ({ name, scope }) => chosen.includes(`${name}.sql`) || chosen.some((one) => one === scope),
  );
  const queries = asked.flatMap(({ statements }) =>
    statements.map((statement) => `(${statement.withVariables(variables)})`),
  );
  return sql<Finding>(asTemplate(queries.join('\nunion all\n')));
}

/** Runs the only statement of a file, and returns its rows. */
export async function runFile<Row extends object>(
  sql: Sql,
  file: string,
  variables: Variables,
): Promise<Row[]> {
  const found = (await sqlFiles()).find(({ name }) => name === file);
  const [statement] = found?.statements ?? [];
  if (!statement) throw new Error(`Cannot examine: sql/doctor/${file}.sql is not there`);
  return sql<Row>(asTemplate(statement.withVariables(variables)));
}

/** Returns the warnings in the files: the names that are followed by this severity. */
export async function warningsOfFiles(): Promise<string[]> {
  const texts = (await sqlFiles()).map(({ text }) => text).join('\n');
  return [...texts.matchAll(/'(\w+)'(?: as check)?, 'warning'/g)].map(([, name = '']) => name);
}

/** Returns the classes of all settings as JSON, the value of `setting_classes` in the files. */
export function settingClasses(): Promise<string> {
  classes ??= readFile(new URL('setting_classes.json', folder), 'utf8');
  return classes;
}

/** Returns a list of names as an array literal of Postgres. */
export function arrayOf(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name.replaceAll(/["\\]/g, '\\$&')}"`);
  return `{${quoted.join(',')}}`;
}

async function readFiles(): Promise<SqlFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      const [, scope = ''] = /^-- Run in: (.+?)(?: \(.*)?\.?$/m.exec(text) ?? [];
      return { name: name.replace('.sql', ''), text, scope, statements: readSql(text).statements };
    }),
  );
}
