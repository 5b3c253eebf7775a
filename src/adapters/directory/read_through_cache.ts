/**
 * A bounded cache in front of a lookup: one load per key at a time, and a load that was overtaken by
 * an invalidation is not kept. What does not exist is not remembered: a quick answer would tell it
 * from what does.
 */
import { LRUCache } from 'lru-cache';

export type CacheLimits = {
  /** The most entries; the least recently used one gives way. */
  entries: number;
  /** The longest that an entry may be out of date when nobody announces its change. */
  staleAfterMs: number;
  /** How often the clock is looked at; an entry may outlive its time by as much. */
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

  get(key: Key): Promise<Value | null> {
    const kept = this.#kept.get(key);
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

  /** Looks at every entry: for rare changes. A load under way may be one of them and is not kept. */
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
