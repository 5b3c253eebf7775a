/**
 * A flood of requests with unknown tenants and unknown keys: neither memory nor trail grows with
 * it.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { limits } from '../../src/limits.ts';
import { bearer, clientOf, type Onboarded, onboard, operatorOf, send } from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';

/** The whole flood is 100 000 requests and is run by hand: it takes minutes. */
const requests = Number(process.env.FLOOD_REQUESTS ?? 2_000);
const atOnce = 32;

/** Enough for a server and the garbage of a flood; with less it mostly collects garbage. */
const heapMegabytes = 64;

let database: TestDatabase;
let kennel: Kennel;
let acme: Onboarded;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url, {
    NODE_OPTIONS: `--max-old-space-size=${heapMegabytes}`,
  });
  acme = await onboard(kennel, 'acme-pets');
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('a flood', () => {
  it('of unknown tenants is refused, and adds at most a row a minute to the audit trail', async () => {
    const before = await auditRows();
    const startedAt = performance.now();
    await flood([404], () => clientOf(kennel, { ...acme, slug: randomSlug() })('GET /api/pets'));
    await settle();
    const minutes = (performance.now() - startedAt) / limits.denials.gatherForMs;
    const rows = (await auditRows()) - before;
    // One event at once, one each minute, and the rest when the trail is read.
    assert.ok(rows <= 2 + minutes, `${rows} rows`);
  });

  it('of unknown keys is refused, and adds a few rows with counts', async () => {
    const before = await auditRows();
    await flood([401, 429], () =>
      send(kennel.url, 'GET /api/pets', undefined, {
        'x-tenant-id': Math.random() < 0.5 ? acme.slug : randomSlug(),
        ...bearer(randomKey()),
      }),
    );
    await settle();
    const rows = (await auditRows()) - before;
    assert.ok(rows >= 1 && rows < requests / 50, `${rows} rows`);
  });

  it('of requests without a key adds at most the limit of anonymous rows', async () => {
    const before = await auditRows();
    await flood([401, 404, 429], () => {
      const path = Math.random() < 0.5 ? `/api/pets/${randomUUID()}` : '/api/me';
      return send(kennel.url, `GET ${path}`, undefined, { 'x-tenant-id': randomSlug() });
    });
    await settle();
    const rows = (await auditRows()) - before;
    assert.ok(rows <= limits.denials.anonymousRows, `${rows} rows`);
  });

  it('keeps the known tenant and key cached, and memory within its limits', async (t) => {
    const figures = await readFigures();
    const atMost = {
      kennel_keys_cache_entries: 1,
      kennel_tenants_cache_entries: 1,
      kennel_denials_held: limits.denials.held,
      nodejs_heap_size_used_bytes: heapMegabytes * 1_024 * 1_024,
    };
    for (const [name, most] of Object.entries(atMost)) {
      const value = figures.get(name) ?? Number.NaN;
      t.diagnostic(`${name} is ${value}`);
      assert.ok(value <= most, `${name} is ${value}`);
    }
    assert.equal(figures.get('kennel_keys_cache_entries'), 1);
  });

  it('of wrong keys is in the audit trail with its address', async () => {
    const { body } = await operatorOf(kennel)('GET /api/admin/audit?event=credential_guessing');
    assert.equal(body.items[0].address, '127.0.0.1');
  });

  it('does not affect a tenant with a valid key', async () => {
    assert.equal((await acme.call('GET /api/pets')).status, 200);
  });

  it('adds no tenant labels to the metrics', async () => {
    const { text } = await operatorOf(kennel)('GET /metrics');
    const tenants = new Set(text.match(/tenant="[^"]*"/g));
    assert.deepEqual([...tenants].sort(), ['tenant="acme-pets"', 'tenant="none"']);
  });
});

async function flood(statuses: number[], request: () => Promise<{ status?: number | undefined }>) {
  let left = requests;
  const one = async () => {
    for (; left > 0; left -= 1) {
      const { status = 0 } = await request();
      assert.ok(statuses.includes(status), `${status}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** A read of the trail has it written first. */
async function settle(): Promise<void> {
  await operatorOf(kennel)('GET /api/admin/audit?limit=1');
}

async function auditRows(): Promise<number> {
  const rows = await lookInto(database.url, (sql) => sql`select from control.audit_events`);
  return rows.length;
}

async function readFigures(): Promise<Map<string, number>> {
  const { text } = await operatorOf(kennel)('GET /metrics');
  return new Map(samples(text).map(({ name, value }) => [name, value]));
}

function randomSlug(): string {
  return `t-${randomBytes(8).toString('hex')}`;
}

function randomKey(): string {
  return `kn_${randomUUID().replaceAll('-', '')}_${randomBytes(32).toString('hex')}`;
}
