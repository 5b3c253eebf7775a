/** One look at a database, as it is at one moment. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';

/**
 * Only reads, as the owner: a name in a query is the catalog's, whatever the search path was. Queries of
 * the catalog look expensive to the planner, and to compile them takes longer than to run them.
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
