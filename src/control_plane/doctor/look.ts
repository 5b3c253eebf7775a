/** One look at a database, as it is at one moment. */
import type { Sql } from '../../kernel/ports.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

/**
 * On a connection of its own. Only reads, as the owner: a name in a query is the catalog's, whatever the
 * search path was.
 */
export function lookAt<Result>(
  { admin, installation }: Fleet,
  database: string,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  return admin.exclusive(installation.adminTarget(database), fleetWork, (connection) =>
    connection.transaction(
      `begin isolation level repeatable read read only;
       set local role "${installation.roles.owner}";
       set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off`,
      look,
    ),
  );
}
