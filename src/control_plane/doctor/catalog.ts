/** What the catalog says of our schemas: the facts that `sql/doctor/catalog.sql` lists. */
import type { Sql } from '../../kernel/ports.ts';
import { arrayOf, runFile } from './sql_checks.ts';

export type Fact = {
  /** What it is about; each can be missing, be changed, or be extra. */
  kind: string;
  /** The table that it belongs to, if any. */
  parent: string | null;
  object: string;
  value: string;
  /** The statement that makes it so, and the one that takes it away. */
  make: string | null;
  drop: string | null;
};

/** What is known of a schema; `facts` is null where its digest was expected, or too many have another. */
export type SchemaFacts = { schema: string; digest: string; facts: Fact[] | null };

export type Asked = {
  schemas: readonly string[];
  app: string;
  owner: string;
  /** Roles of ours, whose rights must be exactly what they are. */
  ours: readonly string[];
  /** The digest that each schema should have. */
  known: Readonly<Record<string, string>>;
};

/** Schemas whose facts are read though a digest is known for them: one fault is often in all of them. */
const mostDifferent = 20;

/** For what belongs to the whole database. */
export const noSchema = '';

/** @param sql with `pg_catalog` alone as its search path. */
export function readCatalog(sql: Sql, asked: Asked): Promise<SchemaFacts[]> {
  const { schemas, app, owner, ours, known } = asked;
  return runFile<SchemaFacts>(sql, 'catalog', {
    ...{ app, owner, schemas: arrayOf(schemas), ours: arrayOf(ours) },
    ...{ known: JSON.stringify(known), most: `${mostDifferent}` },
  });
}
