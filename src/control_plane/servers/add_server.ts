/**
 * Adds a Postgres server for tenants' databases. The server is checked before anything is changed. A command
 * that was killed is continued by the same command, which also changes the URL of a server, and takes in one
 * that was drained.
 */
import { randomUUID } from 'node:crypto';
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import { connectionOptions } from '../../postgres/connection_options.ts';
import { keywordsIn } from '../../postgres/connection_url.ts';
import { sessionUrlOf } from '../../postgres/session_url.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { localeOfMain } from '../provisioning/database_template.ts';
import { assertMayProvision } from '../provisioning/tenant_database.ts';
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
  const main = installation.adminUrlOf(installation.main);
  await admin.exclusive(main, fleetWork, (locking) =>
    withLock(locking, 'servers', async () => {
      const locale = await localeOfMain(fleet);
      const own = sessionUrlOf(keywordsIn(url), { server: name });
      // One session for all steps: a list of hosts in the URL may lead to several servers.
      await admin
        .exclusive(own, fleetWork, async (connection) => {
          await assertUsable(connection);
          const identity = await identify(fleet, connection, name);
          await assertMayProvision(connection, installation, locale);
          await claim(fleet, server, identity);
          await createServerRoles(connection, installation, { name, identity });
        })
        .catch((error: unknown) => {
          throw new Error(`Cannot add the server "${name}": ${whyUnreachable(error)}`);
        });
      await activate(fleet, name);
      await learnServers(fleet);
    }),
  );
}

/**
 * Returns the id of the server. One that has tenants keeps its id: only the server with their databases may get
 * another URL.
 *
 * @throws {Error} when it is another server than that of this name.
 */
async function identify(
  fleet: Fleet,
  connection: Connection,
  name: string,
): Promise<string | null> {
  const mark = await readMark(connection, fleet.installation);
  if (mark === 'foreign') {
    throw new Error('it has the roles of another Kennel, or is the main server');
  }
  if (mark !== 'none' && mark.name !== name) throw new Error(`it is the server "${mark.name}"`);
  const known = await readKnown(fleet, name);
  // No tenant is placed on a server before it was added completely.
  if (known === null || known.status === 'adding') return randomUUID();
  if (known.status === 'lost') {
    throw new Error(
      `it was given up; finish this with: npm run servers -- remove ${name} --lost; or resume it`,
    );
  }
  if (mark !== 'none' && mark.identity === known.identity) return known.identity;
  throw new Error('there is another server of that name, with its own databases; remove it first');
}

type Known = { status: string; identity: string | null };

async function readKnown(fleet: Fleet, name: string): Promise<Known | null> {
  const [row] = await asOwner(
    fleet,
    (sql) => sql<Known>`select status, identity from control.servers where name = ${name}`,
  );
  return row ?? null;
}

async function claim(
  fleet: Fleet,
  { name, url }: NewServer,
  identity: string | null,
): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`
      insert into control.servers (name, url, status, identity)
      values (${name}, ${url}, 'adding', ${identity})
      on conflict (name) do update set url = excluded.url, identity = excluded.identity`,
  );
}

async function activate(fleet: Fleet, name: string): Promise<void> {
  const activated = await asOwner(
    fleet,
    (sql) => sql`
      update control.servers set status = 'active' where name = ${name} returning name`,
  );
  if (activated.length === 0) throw new Error(`Cannot add the server "${name}": it was removed`);
}
