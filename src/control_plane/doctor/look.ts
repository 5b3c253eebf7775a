/** A transaction that reads a database in one snapshot. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';

/**
 * Runs `look` as the owner, in a read-only transaction. Names without a schema are those of the catalog.
 * JIT is off, because compiling these queries takes longer than running them.
 */
export function lookInto<Result>(
  connection: Connection,
  owner: string,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  return connection.transaction(
    `begin isolation level repeatable read read only;
     set local role "${owner}";
     set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off;
     set local jit = off`,
    look,
  );
}
