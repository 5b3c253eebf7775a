/** A transaction that reads a database in one snapshot. */
import type { Sql } from '../../kernel/ports.ts';
import type { DatabasePlace } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

/**
 * Runs `look` as the owner, in a read-only transaction. Names without a schema are those of the catalog.
 */
export function lookInto<Result>(
  { admin, installation }: Fleet,
  place: DatabasePlace,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  const begin = `begin isolation level repeatable read read only;
    set local role "${installation.roles.owner}";
    set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off`;
  return admin.exclusive(installation.adminUrlOf(place), fleetWork, (connection) =>
    connection.transaction(begin, look),
  );
}
