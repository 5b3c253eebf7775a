/**
 * A bounded cache in front of a lookup: one load per key at a time, and a load that was overtaken by
 * an invalidation is not kept. What does not exist is remembered apart and briefly, so that a flood
 * of unknown keys pushes nothing useful out.
 */
import { LRUCache } from 'lru-cache';

export type CacheBounds = {
  present: number;
  absent: number;
  /** The longest that an entry may be out of date when nobody announces its change. */
  staleAfterMs: number;
};

export class ReadThroughCache<Key extends string, Value extends object> {
  readonly #load: (key: Key) => Promise<Value | null>;
  readonly #present: LRUCache<Key, Value>;
  readonly #absent: LRUCache<Key, true>;
  readonly #loading = new Map<Key, Promise<Value | null>>();
  #hits = 0;
  #misses = 0;

  constructor(load: (key: Key) => Promise<Value | null>, bounds: CacheBounds) {
    this.#load = load;
    this.#present = new LRUCache({ max: bounds.present, ttl: bounds.staleAfterMs });
    this.#absent = new LRUCache({ max: bounds.absent, ttl: bounds.staleAfterMs });
  }

  get figures() {
    const { size: present } = this.#present;
    return { hits: this.#hits, misses: this.#misses, present, absent: this.#absent.size };
  }

  async get(key: Key): Promise<Value | null> {
    const known = this.#present.get(key) ?? (this.#absent.get(key) ? null : undefined);
    if (known !== undefined) {
      this.#hits += 1;
      return known;
    }
    this.#misses += 1;
    return this.#loading.get(key) ?? this.#fetch(key);
  }

  drop(key: Key): void {
    this.#present.delete(key);
    this.#absent.delete(key);
    this.#loading.delete(key);
  }

  /** Looks at every entry: for rare changes. A load under way may be one of them and is not kept. */
  dropWhere(fits: (value: Value) => boolean): void {
    for (const [key, value] of this.#present) if (fits(value)) this.#present.delete(key);
    this.#loading.clear();
  }

  clear(): void {
    this.#present.clear();
    this.#absent.clear();
    this.#loading.clear();
  }

  #fetch(key: Key): Promise<Value | null> {
    const load = this.#load(key)
      .then((value) => {
        if (this.#loading.get(key) === load) this.#keep(key, value);
        return value;
      })
      .finally(() => {
        if (this.#loading.get(key) === load) this.#loading.delete(key);
      });
    this.#loading.set(key, load);
    return load;
  }

  #keep(key: Key, value: Value | null): void {
    if (value) this.#present.set(key, value);
    else this.#absent.set(key, true);
  }
}
