/**
 * A bounded cache in front of a look-up. There is one load per key at a time, and its value is not kept
 * when the key was invalidated meanwhile. Missing values are not cached.
 */
import { LRUCache } from 'lru-cache';
import type { Trace } from '../../kernel/trace.ts';

export type CacheLimits = {
  /** The maximum number of entries; the least recently used one is evicted. */
  entries: number;
  /** How long an entry may be stale when its change is not announced. */
  staleAfterMs: number;
  /** How often the clock is read; an entry may live longer by as much. */
  clockMs: number;
};

export class ReadThroughCache<Key extends string, Value extends object> {
  readonly #load: (key: Key) => Promise<Value | null>;
  readonly #kept: LRUCache<Key, Value>;
  readonly #loading = new Map<Key, Promise<Value | null>>();
  #hits = 0;
  #misses = 0;

  constructor(load: (key: Key) => Promise<Value | null>, limits: CacheLimits) {
    this.#load = load;
    this.#kept = new LRUCache({
      max: limits.entries,
      ttl: limits.staleAfterMs,
      ttlResolution: limits.clockMs,
    });
  }

  get stats() {
    return { hits: this.#hits, misses: this.#misses, entries: this.#kept.size };
  }

  get(key: Key, trace?: Trace): Promise<Value | null> {
    const kept = this.#kept.get(key);
    trace?.note({ found_by: kept ? 'cache' : 'query' });
    if (kept) {
      this.#hits += 1;
      return Promise.resolve(kept);
    }
    this.#misses += 1;
    return this.#loading.get(key) ?? this.#begin(key);
  }

  drop(key: Key): void {
    this.#kept.delete(key);
    this.#loading.delete(key);
  }

  /** Examines every entry, so only for rare changes. Values of current loads are not kept. */
  dropWhere(fits: (value: Value) => boolean): void {
    for (const [key, value] of this.#kept) if (fits(value)) this.#kept.delete(key);
    this.#loading.clear();
  }

  clear(): void {
    this.#kept.clear();
    this.#loading.clear();
  }

  #begin(key: Key): Promise<Value | null> {
    const load = this.#load(key)
      .then((value) => {
        if (value && this.#loading.get(key) === load) this.#kept.set(key, value);
        return value;
      })
      .finally(() => {
        if (this.#loading.get(key) === load) this.#loading.delete(key);
      });
    this.#loading.set(key, load);
    return load;
  }
}
