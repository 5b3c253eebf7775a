/**
 * The checks that are SQL. A file of `sql/doctor` examines one subject: each of its statements is a query
 * that returns findings (in `catalog.sql`, facts), and a line of its head says where it is run (`-- Run in:
 * each database`). Checks that are run together are joined to one query, to save round trips.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Sql } from '../../kernel/ports.ts';
import { statementOf } from '../generated_sql.ts';
import { readSql, type Statement } from '../migrations/sql_text.ts';
import type { Finding } from './finding.ts';

/** The places where files are run. */
export type Scope =
  | 'the main database'
  /** In the main database, and in the database that the URL of another server names. */
  | 'each server'
  | 'each database'
  | 'each database, as a superuser'
  | 'each session'
  | 'each placement';

/** The values of `:'name'` in a file, as in psql. */
export type Variables = Readonly<Record<string, string>>;

type SqlFile = { name: string; text: string; scope: string; statements: readonly Statement[] };

const folder = new URL('../../../sql/doctor/', import.meta.url);

type Contents = { files: readonly SqlFile[]; settingClasses: string };

let contents: Promise<Contents> | undefined;

/**
 * Runs the checks of these scopes or file names, and returns their findings. Files name the placements as
 * the relation `:placements`, so that the joined query contains them once.
 */
export async function runChecks<Row extends object = Finding>(
  sql: Sql,
  chosen: readonly (Scope | `${string}.sql`)[],
  { placements, ...others }: Variables,
): Promise<Row[]> {
  const { files, settingClasses } = await readContents();
  const asked = files.filter(({ name, scope }) =>
    chosen.some((one) => one === name || one === scope),
  );
  const variables = { placements: 'placement', setting_classes: settingClasses, ...others };
  const queries = asked.flatMap(({ statements }) =>
    statements.map((statement) => `(${statement.withVariables(variables)})`),
  );
  const all = queries.join('\nunion all\n');
  if (!asked.some(({ text }) => text.includes(':placements'))) return sql<Row>(statementOf(all));
  return sql<Row>(
    statementOf(`with placement as (select * from ${placements}) select * from (${all}) as found`),
  );
}

/** Returns the warnings in the files: the names that are followed by this severity. */
export async function warningsOfFiles(): Promise<string[]> {
  const { files } = await readContents();
  const texts = files.map(({ text }) => text).join('\n');
  return [...texts.matchAll(/'(\w+)'(?: as check)?, 'warning'/g)].map(([, name = '']) => name);
}

/** Returns names, each of them once, as an array literal of Postgres. */
export function arrayOf(names: readonly string[]): string {
  const quoted = [...new Set(names)].map((name) => `"${name.replaceAll(/["\\]/g, '\\$&')}"`);
  return `{${quoted.join(',')}}`;
}

/** The folder is read once. */
function readContents(): Promise<Contents> {
  contents ??= readFolder();
  return contents;
}

async function readFolder(): Promise<Contents> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const settingClasses = await readFile(new URL('setting_classes.json', folder), 'utf8');
  return { files: await Promise.all(names.map(readSqlFile)), settingClasses };
}

async function readSqlFile(name: string): Promise<SqlFile> {
  const text = await readFile(new URL(name, folder), 'utf8');
  const [, scope = ''] = /^-- Run in: (.+?)(?: \(.*)?\.?$/m.exec(text) ?? [];
  return { name, text, scope, statements: readSql(text).statements };
}
