/**
 * Adds a Postgres server for tenants' databases. The server is checked before anything is changed. A command
 * that was killed is continued by the same command, which also changes the URL of a server, and takes in one
 * that was drained.
 */
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import { connectionOptions } from '../../postgres/connection_options.ts';
import { keywordsIn } from '../../postgres/connection_url.ts';
import { targetOf } from '../../postgres/session_url.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { assertMayProvision, localeOfMain } from '../provisioning/tenant_database.ts';
import { assertUsable } from '../provisioning/usable_server.ts';
import { createServerRoles, readMark } from './server_roles.ts';
import { learnServers } from './server_urls.ts';

export type NewServer = {
  name: string;
  /** An administrator's URL with libpq's rules. */
  url: string;
};

/**
 * @throws {ConnectionUrlError} for a wrong URL.
 * @throws {Error} when the server cannot be used, or is another one of this name; then nothing was changed.
 */
export async function addServer(fleet: Fleet, server: NewServer): Promise<void> {
  const { admin, installation } = fleet;
  const { name, url } = server;
  connectionOptions(keywordsIn(url));
  const main = installation.adminTarget(installation.main);
  await admin.exclusive(main, fleetWork, (locking) =>
    withLock(locking, 'servers', async () => {
      const locale = await localeOfMain(fleet);
      const target = targetOf(keywordsIn(url), { server: name });
      // One session for all steps: a list of hosts in the URL may lead to several servers.
      await admin
        .exclusive(target, fleetWork, async (connection) => {
          await assertFits(fleet, connection, { server, locale });
          await claim(fleet, server);
          await createServerRoles(connection, installation, name);
        })
        .catch((error: unknown) => {
          throw new Error(`Cannot add the server "${name}": ${whyUnreachable(error)}`);
        });
      await activate(fleet, name);
      await learnServers(fleet);
    }),
  );
}

async function assertFits(
  fleet: Fleet,
  connection: Connection,
  { server: { name }, locale }: { server: NewServer; locale: string },
): Promise<void> {
  await assertUsable(connection);
  const mark = await readMark(connection, fleet.installation, name);
  if (typeof mark === 'object') throw new Error(mark.problem);
  const known = await statusOf(fleet, name);
  if (mark === 'none' && known !== null && known !== 'adding') {
    throw new Error('there is another server of that name; remove it first');
  }
  await assertMayProvision(connection, fleet.installation, locale);
}

async function statusOf(fleet: Fleet, name: string): Promise<string | null> {
  const [row] = await asOwner(
    fleet,
    (sql) => sql<{ status: string }>`select status from control.servers where name = ${name}`,
  );
  return row?.status ?? null;
}

async function claim(fleet: Fleet, { name, url }: NewServer): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`
      insert into control.servers (name, url, status) values (${name}, ${url}, 'adding')
      on conflict (name) do update set url = excluded.url`,
  );
}

async function activate(fleet: Fleet, name: string): Promise<void> {
  const activated = await asOwner(
    fleet,
    (sql) => sql`update control.servers set status = 'active' where name = ${name} returning name`,
  );
  if (activated.length === 0) throw new Error(`Cannot add the server "${name}": it was removed`);
}
