/** The facts about our schemas in the catalog, which `sql/doctor/catalog.sql` lists. */
import type { Sql } from '../../kernel/ports.ts';
import { arrayOf, runFile } from './sql_checks.ts';

export type Fact = {
  /** Such as `table` or `policy`. It begins the name of the check: `table_missing`. */
  kind: string;
  /** The table that it belongs to, if any. */
  parent: string | null;
  object: string;
  value: string;
  /** The statements that create and remove it; null where there is none. */
  make: string | null;
  drop: string | null;
};

/**
 * The facts of a schema. `facts` is null if its digest is the known one, or if `mostDifferent` other schemas
 * with a wrong digest come first.
 */
export type SchemaFacts = { schema: string; digest: string; facts: Fact[] | null };

export type Asked = {
  schemas: readonly string[];
  app: string;
  owner: string;
  /** Roles of ours: a wrong right of theirs is an error. */
  ours: readonly string[];
  /** The digest that each schema should have. */
  known: Readonly<Record<string, string>>;
};

/** The most schemas with a wrong digest whose facts are read: one fault is often in all of them. */
const mostDifferent = 20;

/** The name under which the facts of the whole database are listed. */
export const noSchema = '';

/** @param sql with `pg_catalog` alone as its search path. */
export function readCatalog(sql: Sql, asked: Asked): Promise<SchemaFacts[]> {
  const { schemas, app, owner, ours, known } = asked;
  return runFile<SchemaFacts>(sql, 'catalog', {
    ...{ app, owner, schemas: arrayOf(schemas), ours: arrayOf(ours) },
    ...{ known: JSON.stringify(known), most: `${mostDifferent}` },
  });
}
