/** One look at a database, as it is at one moment. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

/** On a connection of its own. */
export function lookAt<Result>(
  fleet: Fleet,
  database: string,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  const { admin, installation } = fleet;
  return admin.exclusive(installation.adminTarget(database), fleetWork, (connection) =>
    looking(connection, fleet, look),
  );
}

/**
 * Only reads, as the owner: a name in a query is the catalog's, whatever the search path was. Queries of
 * the catalog look expensive to the planner, and to compile them takes longer than to run them.
 */
export function looking<Result>(
  connection: Connection,
  { installation }: Fleet,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  return connection.transaction(
    `begin isolation level repeatable read read only;
     set local role "${installation.roles.owner}";
     set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off;
     set local jit = off`,
    look,
  );
}
