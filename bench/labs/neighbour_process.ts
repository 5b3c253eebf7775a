/**
 * A Kennel with a slow route, `GET /api/slow`, and with or without fair connections:
 * `neighbour_process.ts fair|unfair`. With `unfair` all tenants wait in one queue, and one tenant may use
 * every connection.
 */

import { readConfig } from '../../src/config.ts';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { tenantIsolation } from '../../src/isolation/tenant_db.ts';
import type { KernelParts } from '../../src/kernel/kernel.ts';
import type { Match } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import type { SessionUrl } from '../../src/postgres/session_url.ts';
import { openServices } from '../../src/services.ts';
import { serveLab } from './lab_server.ts';

/** How long the slow route keeps its connection. */
const slowSeconds = 0.05;

class OneQueue extends ConnectionPool {
  override exclusive<Result>(
    url: SessionUrl,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ) {
    return super.exclusive(url, 'all tenants', work);
  }

  override shared<Result>(
    url: SessionUrl,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ) {
    return super.exclusive(url, 'all tenants', work);
  }
}

const slow: Match = {
  endpoint: '/api/slow',
  role: null,
  parse:
    async () =>
    async ({ db }) => {
      await db`select pg_sleep(${slowSeconds})`;
      return json(200, {});
    },
};

const isFair = process.argv[2] === 'fair';
const unfair = isFair ? null : await unfairIsolation();

await serveLab({
  logs: true,
  counts: true,
  alter: (parts: KernelParts<HttpRequest>) => ({
    ...parts,
    routes: (request, path) => (path === slow.endpoint ? slow : parts.routes(request, path)),
    ...(unfair ? { isolation: unfair } : {}),
  }),
});

async function unfairIsolation() {
  const config = readConfig(process.env);
  const { connections, fleet } = await openServices(config, config.databaseUrl ?? '');
  const pool = new OneQueue((url) => Connection.open(url, limits.connection), {
    ...limits.connections,
    connections: config.connections,
    connectionsPerTenant: config.connections,
    waitingPerTenant: limits.connections.waiting,
  });
  return tenantIsolation({ ...connections, pool }, fleet.modes);
}
