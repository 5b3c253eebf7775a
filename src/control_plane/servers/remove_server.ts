/** Removes a server on which no tenant lives: first Kennel's roles there, then its row in the registry. */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { mainServer } from '../../kernel/tenant.ts';
import { withLock } from '../../postgres/advisory_lock.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { dropTemplate } from '../provisioning/database_template.ts';
import { assertServer } from './server_list.ts';
import { dropServerRoles } from './server_roles.ts';
import { learnServers } from './server_urls.ts';

/**
 * @throws {Refusal} `conflict` for the main server, while tenants live there, or while a move leads there or from
 *   there.
 * @throws {Error} when there is no such server, or it cannot be reached.
 */
export async function removeServer(fleet: Fleet, name: string): Promise<void> {
  await withServersLock(fleet, () => removeLocked(fleet, name));
  await learnServers(fleet);
}

/** Servers are changed by one command at a time. */
export function withServersLock<Result>(
  { admin, installation }: Fleet,
  work: () => Promise<Result>,
): Promise<Result> {
  const main = installation.adminUrlOf(installation.main);
  return admin.exclusive(main, fleetWork, (locking) => withLock(locking, 'servers', work));
}

async function removeLocked(fleet: Fleet, name: string): Promise<void> {
  const { admin, installation } = fleet;
  await asOwner(fleet, async (sql) => {
    await assertAdded(sql, name);
    await assertEmpty(sql, name);
    await assertNotLost(sql, name);
    // From now on no tenant is placed there. If this is killed, its roles may be missing: `add` makes them again.
    await sql`update control.servers set status = 'adding' where name = ${name}`;
  });
  const home = installation.adminUrlOf(installation.homeOf(name));
  await dropTemplate(fleet, name).catch((error: unknown) => refuseRemoval(name, error));
  await asOwner(fleet, async (sql) => {
    await assertEmpty(sql, name);
    await admin
      .exclusive(home, fleetWork, (connection) => dropServerRoles(connection, installation))
      .catch((error: unknown) => refuseRemoval(name, error));
    await sql`delete from control.servers where name = ${name}`;
  });
  admin.closeIdle(home);
}

function refuseRemoval(name: string, error: unknown): never {
  throw new Error(`Cannot remove the server "${name}": ${whyUnreachable(error)}`);
}

/**
 * @throws {Refusal} `conflict` for the main server.
 * @throws {Error} when there is no such server.
 */
export async function assertAdded(sql: Sql, name: string): Promise<void> {
  await assertServer(sql, name);
  if (name === mainServer) throw conflict(name, 'it has the registry');
}

async function assertNotLost(sql: Sql, name: string): Promise<void> {
  const lost = await sql`select from control.servers where name = ${name} and status = 'lost'`;
  if (lost.length > 0) throw conflict(name, 'it was given up; use --lost, or resume it');
}

/**
 * The lock makes new tenants and moves wait: their rows refer to the server.
 *
 * @throws {Refusal} `conflict` as above.
 */
export async function assertEmpty(sql: Sql, name: string): Promise<void> {
  await sql`select from control.servers where name = ${name} for update`;
  const [{ tenants = 0, moves = 0 } = {}] = await sql<{ tenants: number; moves: number }>`
    select
      (select count(*) from control.tenants where server = ${name}) as tenants,
      (
        select count(*) from control.moves
        where state in ('copying', 'catching_up', 'switched')
          and ${name} in (origin_server, destination_server)
      ) as moves`;
  if (tenants > 0) throw conflict(name, `${tenants} tenants live there; drain it first`);
  if (moves > 0) {
    throw conflict(name, `${moves} tenants are moving there or from there; try again later`);
  }
}

function conflict(name: string, reason: string): Refusal {
  return new Refusal('conflict', { detail: `Cannot remove the server "${name}": ${reason}` });
}
