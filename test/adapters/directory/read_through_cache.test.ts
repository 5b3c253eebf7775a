import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadThroughCache } from '../../../src/adapters/directory/read_through_cache.ts';
import { until } from '../../support/until.ts';

const limits = { entries: 3, staleAfterMs: 60_000, clockMs: 1 };

type Row = { value: string };

/** A store that answers when the test tells it to. */
class SlowStore {
  readonly rows = new Map<string, Row>();
  loads = 0;
  #held: (() => void)[] | null = null;

  readonly load = async (key: string): Promise<Row | null> => {
    this.loads += 1;
    const row = this.rows.get(key) ?? null;
    const held = this.#held;
    if (held) await new Promise<void>((resolve) => held.push(resolve));
    return row;
  };

  hold(): void {
    this.#held = [];
  }

  release(): void {
    for (const resolve of this.#held ?? []) resolve();
    this.#held = null;
  }
}

describe('ReadThroughCache', () => {
  it('loads an entry that exists once', async () => {
    const store = new SlowStore();
    const cache = new ReadThroughCache(store.load, limits);
    store.rows.set('a', { value: 'A' });
    for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(await cache.get('a'), { value: 'A' });
    assert.equal(store.loads, 1);
    assert.deepEqual(cache.stats, { hits: 2, misses: 1, entries: 1 });
  });

  it('loads an entry that does not exist each time', async () => {
    const store = new SlowStore();
    const cache = new ReadThroughCache(store.load, limits);
    for (let turn = 0; turn < 3; turn += 1) assert.equal(await cache.get('a'), null);
    assert.equal(store.loads, 3);
  });

  it('shares one load between concurrent calls', async () => {
    const store = new SlowStore();
    const cache = new ReadThroughCache(store.load, limits);
    await Promise.all(Array.from({ length: 10 }, () => cache.get('a')));
    assert.equal(store.loads, 1);
  });

  it('loads again after a failed load', async () => {
    let failures = 1;
    const load = async () => {
      failures -= 1;
      if (failures === 0) throw new Error('away');
      return { value: 'A' };
    };
    const cache = new ReadThroughCache(load, limits);
    await assert.rejects(cache.get('a'), /away/);
    assert.deepEqual(await cache.get('a'), { value: 'A' });
  });

  for (const [how, forget] of [
    ['drop()', (cache: ReadThroughCache<string, Row>) => cache.drop('a')],
    ['dropWhere()', (cache: ReadThroughCache<string, Row>) => cache.dropWhere(() => true)],
    ['clear()', (cache: ReadThroughCache<string, Row>) => cache.clear()],
  ] as const) {
    it(`does not cache a load that was pending during ${how}`, async () => {
      const store = new SlowStore();
      const cache = new ReadThroughCache(store.load, limits);
      store.rows.set('a', { value: 'old' });
      store.hold();
      const overtaken = cache.get('a');
      forget(cache);
      store.rows.set('a', { value: 'new' });
      store.release();
      assert.deepEqual(await overtaken, { value: 'old' });
      assert.deepEqual(await cache.get('a'), { value: 'new' });
    });

    it(`loads again after ${how}`, async () => {
      const store = new SlowStore();
      const cache = new ReadThroughCache(store.load, limits);
      store.rows.set('a', { value: 'old' });
      await cache.get('a');
      forget(cache);
      await cache.get('a');
      assert.equal(store.loads, 2);
    });
  }

  it('caches none of 100 000 unknown keys, and evicts nothing for them', async () => {
    const store = new SlowStore();
    const cache = new ReadThroughCache(store.load, limits);
    store.rows.set('known', { value: 'K' });
    await cache.get('known');
    for (let count = 0; count < 100_000; count += 1) await cache.get(`${count}`);
    assert.equal(cache.stats.entries, 1);
  });

  it('caches a bounded number of entries', async () => {
    const cache = new ReadThroughCache(async (key: string) => ({ value: key }), limits);
    for (let count = 0; count < 10; count += 1) await cache.get(`${count}`);
    assert.equal(cache.stats.entries, limits.entries);
  });

  it('loads an entry again once it is stale', async () => {
    const store = new SlowStore();
    const cache = new ReadThroughCache(store.load, { ...limits, staleAfterMs: 5 });
    store.rows.set('a', { value: 'old' });
    await cache.get('a');
    store.rows.set('a', { value: 'new' });
    await until(async () => (await cache.get('a'))?.value === 'new');
  });
});
