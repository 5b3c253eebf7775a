/**
 * The server of a measurement: the real one with two slow routes and, if its environment says so,
 * without one of its guards. `LAB_LOOKUP=1` looks unknown slugs up, `LAB_QUEUE=common` lets all
 * tenants wait in one queue, `LAB_WAITING` and `LAB_REQUESTS` set other limits.
 */

import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import type { Db } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import type { SessionUrl } from '../../src/postgres/session_url.ts';
import { Admission } from '../../src/server/admission_control.ts';
import { type LabOptions, openLab, withPool, withRoute } from '../support/lab.ts';
import { UnfairPool } from '../support/unfair_pool.ts';

const { DATABASE_URL = '', LAB_LOOKUP, LAB_QUEUE, LAB_REQUESTS, LAB_WAITING } = process.env;

const slow = {
  sleep: (db: Db) => db`select pg_sleep(0.05)`,
  // About as long on one idle core.
  cpu: (db: Db) => db`select sum(length(md5(n::text))) from generate_series(1, 90000) as n`,
};

const connections = 16;

const alter: LabOptions['alter'] = (parts, app) => {
  let altered = withPool(parts, app, servingPool());
  for (const [name, work] of Object.entries(slow)) {
    altered = withRoute(altered, `/api/lab/${name}`, async ({ db }) => json(200, await work(db)));
  }
  return altered;
};

const lab = await openLab(DATABASE_URL, {
  variables: { DB_CONNECTIONS: String(connections), TRUSTED_PROXIES: '127.0.0.1/32' },
  alter,
  admission: new Admission({
    ...limits.admission,
    requests: Number(LAB_REQUESTS ?? limits.admission.requests),
  }),
  ...(LAB_LOOKUP ? { first: lookUpUnknown } : {}),
});
process.once('SIGINT', () => void lab.close().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ msg: 'listening', url: lab.url })}\n`);

function servingPool(): ConnectionPool {
  const waitingPerTenant = Number(LAB_WAITING ?? limits.connections.waitingPerTenant);
  const its = {
    ...limits.connections,
    connections,
    connectionsPerTenant: connections / 4,
    waitingPerTenant,
  };
  const open = (url: SessionUrl) => Connection.open(url, limits.connection);
  return LAB_QUEUE === 'common' ? new UnfairPool(open, its) : new ConnectionPool(open, its);
}

/** As a cache that remembers only the slugs that exist. */
async function lookUpUnknown(
  { facts }: HttpRequest,
  { services }: Parameters<NonNullable<LabOptions['first']>>[1],
): Promise<void> {
  const [slug = ''] = facts.tenantHeaders;
  if (slug.startsWith('nobody')) {
    await services.control`select from control.tenants where slug = ${slug}`;
  }
}
