/** Chooses the server of a new tenant, and of one that moves. */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { mainServer } from '../../kernel/tenant.ts';
import type { Fleet } from '../fleet.ts';
import { learnServers } from './server_urls.ts';

/** A server that is asked for, or null for the least loaded one, which has the fewest tenants of the mode. */
export type AskedServer = { isolation: string; server?: string | null };

/**
 * Returns the name of the server. Of several with the fewest tenants it is the main one, if it is among them.
 *
 * @throws {Refusal} `invalid_input` for an unknown server, or for another than the main one in a mode without
 *   servers; `conflict` for a server that is being added or drained.
 */
export async function chooseServer(
  { fleet, control }: { fleet: Fleet; control: Sql },
  { isolation, server = null }: AskedServer,
): Promise<string> {
  const { hasServers } = fleet.modes.of({ isolation });
  if (!hasServers && (server ?? mainServer) !== mainServer) {
    throw invalid(`Tenants of ${isolation} mode live on the server "${mainServer}"`);
  }
  if (!hasServers) return mainServer;
  const chosen =
    server === null ? await leastLoaded(control, isolation) : await assertActive(control, server);
  if (chosen !== mainServer && !fleet.installation.addedServers.includes(chosen)) {
    // It was added a moment ago, by another process.
    await learnServers(fleet);
  }
  return chosen;
}

async function leastLoaded(control: Sql, isolation: string): Promise<string> {
  const [found] = await control<{ name: string }>`
    select name from control.servers
    where status = 'active'
    order by (
        select count(*) from control.tenants
        where server = servers.name and tenants.isolation = ${isolation}
      ), name <> ${mainServer}, name
    limit 1`;
  if (found) return found.name;
  throw new Refusal('conflict', { detail: 'Every server is being drained; add one first' });
}

async function assertActive(control: Sql, server: string): Promise<string> {
  const [found] = await control<{ status: string }>`
    select status from control.servers where name = ${server}`;
  if (!found) throw invalid(`There is no server "${server}"`);
  if (found.status === 'active') return server;
  const detail = `The server "${server}" is ${found.status === 'adding' ? 'not ready yet' : 'being drained'}`;
  throw new Refusal('conflict', { detail });
}

function invalid(message: string): Refusal {
  return new Refusal('invalid_input', {
    detail: 'The input is not valid',
    errors: [{ path: 'server', message }],
  });
}
