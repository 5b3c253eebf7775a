/**
 * A server without its first N stages: `stage_process.ts N URL-of-the-plain-table`. It only answers
 * `GET /api/pets/{id}` of shared mode correctly.
 */

import { readConfig } from '../../src/config.ts';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import type { KernelParts } from '../../src/kernel/kernel.ts';
import type { Directory, Isolation, Limiter, SqlValue } from '../../src/kernel/ports.ts';
import type { Caller, Tenant } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import { serve } from '../baselines/pet_server.ts';
import { openPool } from '../baselines/pool.ts';
import { serveLab } from './lab_server.ts';
import { isOff } from './stages.ts';

const [, , count = '0', plainUrl = ''] = process.argv;
const gone = Number(count);
const { connections } = readConfig(process.env);

if (isOff('HTTP server', gone)) {
  const pets = await allPets();
  serve(async ({ url = '' }) => ({ status: 200, body: pets.get(idIn(url)) }));
} else {
  const pets = isOff('kernel', gone) ? await allPets() : null;
  await serveLab({
    logs: !isOff('log line', gone),
    counts: !isOff('metrics', gone),
    alter: await alteration(),
    ...(pets ? { handle: async ({ path }) => json(200, pets.get(idIn(path))) } : {}),
  });
}

async function alteration() {
  const isolation = await isolationWithout();
  return (parts: KernelParts<HttpRequest>): KernelParts<HttpRequest> => ({
    ...parts,
    ...(isOff('usage', gone) ? { meter: { count: () => {} } } : {}),
    ...(isOff('limiter', gone) ? { limiter: unlimited() } : {}),
    ...(isOff('lookup', gone) ? { directory: cachedForever(parts.directory) } : {}),
    ...(isolation ? { isolation } : {}),
  });
}

function unlimited(): Limiter {
  const rateLimit = { allowed: true, remaining: 1, retryAfterSeconds: 0, resetSeconds: 0 };
  return { consume: async () => rateLimit };
}

/** Looks each header up once and then trusts it. Bounded by the number of tenants of the bench. */
function cachedForever(directory: Directory): Directory {
  const callers = new Map<string | null, Caller | null>();
  const tenants = new Map<string, Tenant | null>();
  return {
    caller: async (authorization) => {
      const known = callers.get(authorization);
      if (known) return known;
      const caller = await directory.caller(authorization);
      callers.set(authorization, caller);
      return caller;
    },
    tenant: async (id) => {
      const known = tenants.get(id);
      if (known) return known;
      const tenant = await directory.tenant(id);
      tenants.set(id, tenant);
      return tenant;
    },
  };
}

async function isolationWithout(): Promise<Isolation | null> {
  if (isOff('database', gone)) {
    const pets = await allPets();
    const recall = async (_: TemplateStringsArray, id: SqlValue) => [pets.get(String(id))];
    return { run: (_tenant, work) => work(Object.assign(recall, { transaction: refuse })) };
  }
  if (isOff('connection', gone)) {
    const sql = openPool(plainUrl, connections);
    const send = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
      sql<Row[]>(text, ...values).execute();
    return { run: (_tenant, work) => work(Object.assign(send, { transaction: refuse })) };
  }
  return isOff('envelope', gone) ? overConnections() : null;
}

/** Sends statements without envelopes over the product's own pool. */
function overConnections(): Isolation {
  const pool = openConnectionPool(limits.connection, {
    ...limits.connections,
    connections,
    connectionsPerTenant: Math.max(1, Math.floor(connections / 4)),
  });
  return {
    run: ({ id }, work) => {
      const send = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
        pool.shared(plainUrl, id, (connection) => connection.plain<Row>(text, ...values));
      return work(Object.assign(send, { transaction: refuse }));
    },
  };
}

async function refuse(): Promise<never> {
  throw new Error('Cannot open a transaction: this server only reads');
}

/** Returns the rows of the plain table by id, for servers without the database. */
async function allPets() {
  const sql = openPool(plainUrl, 1);
  const rows = await sql`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from pets`;
  await sql.end({ timeout: 1 });
  return new Map(rows.map((row) => [String(row.id), JSON.parse(JSON.stringify(row))]));
}

function idIn(path: string): string {
  return path.slice('/api/pets/'.length);
}
