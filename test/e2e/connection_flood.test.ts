/**
 * A server under a connection flood: thousands of silent connections, slow heads, slow bodies, slow
 * readers and compression bombs, all at once. Well-behaved clients notice nothing, and nothing is
 * left when the flood is over. `SIEGE_SECONDS` makes it longer.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { limits } from '../../src/limits.ts';
import { type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { ConnectionFlood } from '../support/connection_flood.ts';
import { samples } from '../support/exposition.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const floodMs = Number(process.env.SIEGE_SECONDS ?? 5) * 1_000;
const silentConnections = 5_000;

/**
 * Enough for a server with its users and all clients of the flood; memory growth beyond it kills
 * the process.
 */
const heapMegabytes = 160;

/** Database connections are opened when they are needed, and then kept. */
const connectionsOnDemand = 20;

/** A user that never pauses would be a flood of its own. */
const betweenRequestsMs = 50;

const MiB = 1_024 * 1_024;

let database: TestDatabase;
let kennel: Kennel;
let tenants: Onboarded[];
let mallory: Onboarded;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url, {
    NODE_OPTIONS: `--max-old-space-size=${heapMegabytes}`,
    LOG_LEVEL: 'error',
  });
  mallory = await onboard(kennel, 'mallory');
  const slugs = Array.from({ length: 10 }, (_, at) => `tenant-${at}`);
  tenants = await Promise.all(slugs.map((slug) => onboard(kennel, slug)));
  // A slow reader can take its time over a page of a hundred of these.
  const pet = { name: '🐕'.repeat(100), species: '🐕'.repeat(50), breed: '🐕'.repeat(100) };
  for (let at = 0; at < 100; at += 1) await mallory.call('POST /api/pets', pet);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('a flood of connections', { timeout: 120_000 }, () => {
  it('loses each hostile connection, refuses no good client and leaves nothing open', async (t) => {
    // All database connections are open now, so any that are opened later belong to the flood.
    await Promise.all(Array.from({ length: 64 }, (_, at) => tenants[at % 10]?.call('GET /api/me')));
    const before = await figures();
    const flood = new ConnectionFlood(kennel.url, mallory, silentConnections);
    const flooding = flood.run(floodMs);
    const latencies = await Promise.all(tenants.map((tenant) => readAndWrite(tenant, flood)));
    const under = await figures();
    const tally = await flooding;
    const most = before.sockets + connectionsOnDemand;
    await until(async () => (await figures()).sockets <= most, 2 * limits.http.receiveMs);
    const left = await figures();

    for (const [kind, ends] of Object.entries(tally)) {
      t.diagnostic(`${kind}: ${[...ends].map(([end, count]) => `${count} × ${end}`).join(', ')}`);
    }
    t.diagnostic(`${flood.mostOpen} hostile connections were open at once`);
    for (const [when, { heap, rss, sockets, lag }] of Object.entries({ before, under, left })) {
      const sizes = `heap ${Math.round(heap / MiB)} MiB, RSS ${Math.round(rss / MiB)} MiB`;
      t.diagnostic(`${when}: ${sizes}, ${sockets} descriptors, the loop late by ${lag} s at most`);
    }
    const sorted = latencies.flat().sort((a, b) => a - b);
    const at = (share: number) => Math.round(sorted[Math.floor(share * sorted.length)] ?? 0);
    t.diagnostic(`${sorted.length} good requests: median ${at(0.5)} ms, p99 ${at(0.99)} ms`);

    for (const [kind, expected] of Object.entries(flood.endings)) {
      const ends = tally[kind] ?? new Map<string, number>();
      assert.ok(ends.has(expected), `${kind} should have met with ${expected}`);
      // A client that keeps sending after a refusal may lose the refusal to a reset; and a tenant
      // that exceeds its share of bodies in progress gets 503 for further ones.
      const others = [...ends.keys()].filter((end) => ![expected, 'closed', '503'].includes(end));
      assert.deepEqual(others, [], kind);
    }
    assert.ok(left.heap < heapMegabytes * MiB);
  });
});

/**
 * Reads and writes until the flood is over. Every answer must be right.
 *
 * @returns how long each took.
 */
async function readAndWrite({ call, slug }: Onboarded, flood: ConnectionFlood): Promise<number[]> {
  const latencies: number[] = [];
  for (let at = 0; !flood.isOver; at += 1) {
    const startedAt = performance.now();
    const made = await call('POST /api/pets', { name: `${slug}-${at}`, species: 'dog' });
    const writtenAt = performance.now();
    assert.equal(made.status, 201, made.text);
    const read = await call(`GET /api/pets/${made.body.id}`);
    latencies.push(writtenAt - startedAt, performance.now() - writtenAt);
    await pause(betweenRequestsMs);
    assert.equal(read.status, 200, read.text);
    assert.deepEqual(read.body, made.body);
    assert.equal(read.body.name, `${slug}-${at}`);
  }
  return latencies;
}

async function figures() {
  const { text } = await operatorOf(kennel)('GET /metrics');
  const all = new Map(samples(text).map(({ name, value }) => [name, value]));
  const figure = (name: string) => all.get(name) ?? Number.NaN;
  return {
    heap: figure('nodejs_heap_size_used_bytes'),
    rss: figure('process_resident_memory_bytes'),
    sockets: figure('process_open_fds'),
    lag: figure('nodejs_eventloop_lag_max_seconds'),
  };
}
