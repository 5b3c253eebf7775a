/** The model's data of one tenant, and pages of it. Ids and times are counted, never random. */

import type { Errand } from './calls.ts';

/** An item of a list; its members are those of the contract. */
export type Item = Readonly<Record<string, unknown>> & { id: string };

/** A list's order: by its key, the smallest first unless it says `newestFirst`. */
export type Order = { keyOf(item: Item): string; newestFirst: boolean };

export type PageRequest = { limit: number; cursor: string | null };

export const oldestFirst: Order = { keyOf: ({ id }) => id, newestFirst: false };

export const latestVisitFirst: Order = {
  keyOf: ({ visited_on, id }) => `${visited_on}.${id}`,
  newestFirst: true,
};

export const defaults: Readonly<Record<string, unknown>> = {
  include_deleted_pets: false,
  default_page_size: 20,
  welcome_message: '',
};

export type User = Item & { email: unknown; role: unknown };

export class TenantModel {
  readonly slug: string;
  pets: Item[] = [];
  visits: Item[] = [];
  users: User[] = [];
  /** The ids of valid keys, and their users. */
  keys: { id: string; apiKey: string; user: User }[] = [];
  settings = defaults;
  /** The events of the tenant's own trail, the newest first. */
  trail: { event: string; request_id: string | null }[] = [];
  #kept: { pets: Item[]; visits: Item[] } | null = null;

  constructor(slug: string) {
    this.slug = slug;
  }

  addKey(id: string, user: User) {
    const apiKey = `kn_${id.replaceAll('-', '')}_${'0'.repeat(64)}`;
    this.keys.push({ id, apiKey, user });
    return { id, apiKey };
  }

  /** A move changes nothing, and a restore brings back pets and visits alone. Without a file there is none. */
  run(errand: Errand): void {
    if (errand === 'move') this.note('tenant_moved', null);
    if (errand === 'keep') {
      this.#kept = { pets: [...this.pets], visits: [...this.visits] };
      this.note('tenant_exported', null);
    }
    if (errand !== 'restore' || !this.#kept) return;
    this.pets = [...this.#kept.pets];
    this.visits = [...this.#kept.visits];
    this.note('tenant_restored', null);
  }

  note(event: string, requestId: string | null): void {
    this.trail.unshift({ event, request_id: requestId });
  }

  shownPet(id: string): Item | undefined {
    const shown = this.settings.include_deleted_pets === true;
    return this.pets.find((pet) => pet.id === id && (shown || pet.deleted === false));
  }

  livePet(id: string): Item | undefined {
    return this.pets.find((pet) => pet.id === id && pet.deleted === false);
  }

  /** Replaces the pet by its changed version. */
  change(pet: Item, changes: Readonly<Record<string, unknown>>): Item {
    const changed = { ...pet, ...changes };
    this.pets = this.pets.map((one) => (one.id === pet.id ? changed : one));
    return changed;
  }
}

/** A cursor is the position of the last item shown, even if that item is gone since. */
export function page(items: readonly Item[], { keyOf, newestFirst }: Order, asked: PageRequest) {
  const sign = newestFirst ? -1 : 1;
  const sorted = items.toSorted((one, two) => (keyOf(one) < keyOf(two) ? -sign : sign));
  const rest = sorted.filter((item) => asked.cursor === null || isAfter(item, asked.cursor));
  const shown = rest.slice(0, asked.limit);
  const last = shown.at(-1);
  const more = rest.length > shown.length && last !== undefined;
  return { items: shown, next_cursor: more ? `${cursorMark}${keyOf(last)}` : null };

  function isAfter(item: Item, cursor: string): boolean {
    const position = cursor.slice(cursorMark.length);
    return newestFirst ? keyOf(item) < position : keyOf(item) > position;
  }
}

export const isCursor = (value: unknown) => String(value).startsWith(cursorMark);

const cursorMark = 'after.';
