/** What the catalog says of our schemas: the facts that `sql/doctor/catalog.sql` lists. */
import { readFile } from 'node:fs/promises';
import type { Sql, SqlValue } from '../../kernel/ports.ts';

/** What a fact is about; each can be missing, be another than it should, or be one too many. */
export type Kind =
  | 'schema'
  | 'table'
  | 'sequence'
  | 'view'
  | 'materialized_view'
  | 'foreign_table'
  | 'type'
  | 'owner'
  | 'row_security'
  | 'column'
  | 'constraint'
  | 'index'
  | 'statistics'
  | 'policy'
  | 'trigger'
  | 'triggers'
  | 'rule'
  | 'inheritance'
  | 'function'
  | 'grant'
  | 'stranger_grant'
  | 'object'
  | 'default_grant'
  | 'event_trigger'
  | 'publication'
  | 'subscription'
  | 'cast';

export type Fact = {
  kind: Kind;
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
export async function readCatalog(sql: Sql, asked: Asked): Promise<SchemaFacts[]> {
  const { parts, names } = await catalogQuery();
  const { schemas, app, owner, ours, known } = asked;
  const values: Readonly<Record<string, SqlValue>> = {
    schemas: JSON.stringify(schemas),
    app,
    owner,
    ours: JSON.stringify(ours),
    known: JSON.stringify(known),
    most: mostDifferent,
  };
  return sql<SchemaFacts>(parts, ...names.map((name) => values[name] ?? null));
}

type Query = { parts: TemplateStringsArray; names: string[] };

let query: Promise<Query> | undefined;

function catalogQuery(): Promise<Query> {
  query ??= readQuery('catalog.sql');
  return query;
}

/** A file for psql, whose variables become parameters. */
async function readQuery(name: string): Promise<Query> {
  const text = await readFile(new URL(`../../../sql/doctor/${name}`, import.meta.url), 'utf8');
  const pieces = text.replaceAll(/^\s*--.*$/gm, '').split(/:'(\w+)'/);
  const parts = pieces.filter((_piece, at) => at % 2 === 0);
  return {
    parts: Object.freeze(Object.assign(parts, { raw: parts })),
    names: pieces.filter((_piece, at) => at % 2 === 1),
  };
}
