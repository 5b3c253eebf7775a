/**
 * Arbitrary bytes from strangers do not end the process and leave nothing behind, in whatever order
 * they come. `FUZZ_CONNECTIONS` makes it longer, `FUZZ_SEED` repeats a run.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/until.ts';
import { assertServing, limit } from './edge.ts';
import { type EdgeServer, startEdge } from './edge_server.ts';
import { fuzz } from './fuzz_client.ts';

const connections = Number(process.env.FUZZ_CONNECTIONS ?? 2_000);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1e6);
const atOnce = 64;
const goodEvery = 100;

/** More than a server at rest needs, together with all that 64 such clients make it hold. */
const heapMegabytes = 64;

const MiB = 1_024 * 1_024;

describe('an HTTP edge under random bytes', {
  timeout: Math.max(limit.timeout, connections * 100),
}, () => {
  it('serves good clients, has no fault and holds nothing afterwards', async (t) => {
    t.diagnostic(`seed ${seed}, ${connections} connections`);
    const edge = await startEdge({ heapMegabytes });
    await fuzzAll(edge);
    await until(async () => (await edge.state())?.connections === 0, 30_000);
    const state = await edge.state();
    t.diagnostic(`RSS ${Math.round((state?.rss ?? 0) / MiB)} MiB`);
    assert.deepEqual([state?.faults, state?.unreadBytes], [[], 0]);
  });
  it('control: crashes when its sockets have no error listener', async () => {
    const edge = await startEdge({ heapMegabytes, guardsOff: ['errors'] });
    await fuzzAll(edge).catch(() => {});
    assert.match(await edge.ended(), /Unhandled 'error' event/);
  });
});

/** Many at once, with a good client among them, until all are through or the server is gone. */
async function fuzzAll(edge: EdgeServer): Promise<void> {
  const port = Number(new URL(edge.url).port);
  const random = seededRandom(seed);
  let left = connections;
  const one = async () => {
    for (; left > 0; left -= 1) {
      await fuzz(port, seededRandom(random() * 2 ** 32));
      if (left % goodEvery === 0) await assertServing(edge);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}
