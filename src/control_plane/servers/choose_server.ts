/** Chooses the server of a new tenant, and of one that moves. */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { mainServer } from '../../kernel/tenant.ts';
import type { Fleet } from '../fleet.ts';
import { assertUp, whyUnusable } from './probe.ts';
import { learnServers } from './server_urls.ts';

/** A server that is asked for, or null for the least loaded one, which has the fewest tenants of the mode. */
export type AskedServer = { isolation: string; server?: string | null };

/**
 * Returns the name of the server. Of several with the fewest tenants it is the main one, if it is among them.
 *
 * @throws {Refusal} `invalid_input` for an unknown server, or for another than the main one in a mode without
 *   servers; `conflict` for a server that is being added or drained; `unavailable` for one that is down.
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
  if (server === null) return leastLoaded(fleet, control, isolation);
  await assertActive(control, server);
  await learnServer(fleet, server);
  await assertUp(fleet, server);
  return server;
}

/** Another process may have added the server a moment ago. */
async function learnServer({ admin, installation }: Fleet, server: string): Promise<void> {
  const { addedServers } = installation;
  if (server === mainServer || addedServers.includes(server)) return;
  await learnServers({ admin, installation });
}

/** A server that is down gets no tenants. */
async function leastLoaded(fleet: Fleet, control: Sql, isolation: string): Promise<string> {
  const servers = await control<{ name: string }>`
    select name from control.servers
    where status = 'active'
    order by (
        select count(*) from control.tenants
        where server = servers.name and tenants.isolation = ${isolation}
      ), name <> ${mainServer}, name`;
  for (const { name } of servers) {
    await learnServer(fleet, name);
    if (name === mainServer || (await whyUnusable(fleet, name)) === null) return name;
  }
  throw new Refusal('conflict', { detail: 'Every server is drained or down; add one first' });
}

async function assertActive(control: Sql, server: string): Promise<void> {
  const [found] = await control<{ status: string }>`
    select status from control.servers where name = ${server}`;
  if (!found) throw invalid(`There is no server "${server}"`);
  if (found.status === 'active') return;
  const detail = `The server "${server}" is ${whyNot[found.status] ?? found.status}`;
  throw new Refusal('conflict', { detail });
}

const whyNot: Readonly<Record<string, string>> = {
  adding: 'not ready yet',
  draining: 'being drained',
  lost: 'lost',
};

function invalid(message: string): Refusal {
  return new Refusal('invalid_input', {
    detail: 'The input is not valid',
    errors: [{ path: 'server', message }],
  });
}
