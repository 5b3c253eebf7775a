/**
 * A participant of a script: a tenant of a server, or the model. Scripts name items by order of
 * appearance, and each participant has its own ids for them.
 */
import { isolationModes } from '../../../src/isolation/modes.ts';
import { bearer, type Headers } from '../../support/client.ts';
import type { Actor, CallStep, Errand, Step } from './calls.ts';
import { Labels } from './labels.ts';
import { isRecord, type ScriptReply } from './response.ts';

/** The users that exist before a script begins, and the neighbour. */
export type Home = {
  slug: string;
  isolation: string;
  neighbour: string;
  keys: Readonly<Record<'admin' | 'member' | 'neighbour', string>>;
  /** Items that a script may name although it did not create them: `{neighbours_pet}`. */
  ids: ReadonlyMap<string, string>;
  /** Does an errand of the operator. */
  run(errand: Errand): Promise<void>;
};

/** Sends `METHOD /path`, as `Call` does. */
export type Send = (line: string, body: unknown, headers: Headers) => Promise<ScriptReply>;

/** A UUIDv7 that no item has. */
export const unknownId = '01890000-0000-7000-8000-000000000000';

const placeholder = /\{(\w+)(?::(\d+))?\}/g;

export class Participant {
  readonly name: string;
  readonly #home: Home;
  readonly #send: Send;
  /** Ids by the list they are in (`pets`), cursors by their list (`pets_cursor`), API keys. */
  readonly #made = new Map<string, string[]>();

  constructor(name: string, home: Home, send: Send) {
    this.name = name;
    this.#home = home;
    this.#send = send;
  }

  /** Labels for the participant's answers, with nothing counted yet. */
  labels(): Labels {
    const { slug, neighbour, isolation } = this.#home;
    const modes = [isolation, ...isolationModes].map((mode) => [mode, '{mode}'] as const);
    const names = { [slug]: '{slug}', [neighbour]: '{neighbour}', ...Object.fromEntries(modes) };
    return new Labels(names);
  }

  /** Does one step and remembers the items that it created. */
  async take(step: Step): Promise<ScriptReply> {
    if (!('errand' in step)) return this.#call(step);
    await this.#home.run(step.errand);
    return { status: 200, headers: {} };
  }

  async #call({ as, line, body, type }: CallStep): Promise<ScriptReply> {
    const headers = { ...this.#headersOf(as), ...(type && { 'content-type': type }) };
    const own = line.replace(placeholder, (_, list, nth) => this.#named(list, nth));
    const said = await this.#send(own, body, headers);
    this.#remember(line, said);
    return said;
  }

  /** The step in the contract's notation, with `{pets 1}` for the first pet that was made. */
  show(step: Step): string {
    if ('errand' in step) return `operator: ${step.errand}`;
    const { as, line, body } = step;
    const shown = line.replace(placeholder, (_, list, nth) => this.#shown(list, nth));
    const who =
      as === 'admin' ? '' : `${as.replace(placeholder, (_, l, n) => this.#shown(l, n))}: `;
    const content = typeof body === 'string' ? body : JSON.stringify(body);
    return [who + shown, content].filter((part) => part !== undefined).join(' ');
  }

  #headersOf(as: Actor): Headers {
    const { slug, neighbour, keys } = this.#home;
    const here = { 'x-tenant-id': slug };
    const there = { 'x-tenant-id': neighbour };
    if (as === 'admin' || as === 'member') return { ...here, ...bearer(keys[as]) };
    if (as === 'neighbour') return { ...there, ...bearer(keys.neighbour) };
    if (as === 'stranger') return { ...here, ...bearer(keys.neighbour) };
    if (as === 'astray') return { ...there, ...bearer(keys.admin) };
    if (as === 'lost') return bearer(keys.admin);
    if (as === 'nobody') return here;
    return {
      ...here,
      ...bearer(as.replace(placeholder, (_, list, nth) => this.#named(list, nth))),
    };
  }

  /** Before any item was created there is only the id that no item has. */
  #named(list: string, nth: string | undefined): string {
    const known = this.#home.ids.get(list);
    if (known) return known;
    const made = this.#made.get(list) ?? [];
    const value = made[Number(nth) % made.length];
    // The next page of a list without a cursor is the first, or cursors would mostly be wrong.
    if (list.endsWith('_cursor')) return value === undefined ? '' : `cursor=${value}`;
    return value ?? unknownId;
  }

  #shown(list: string, nth: string | undefined): string {
    if (nth === undefined) return `{${list}}`;
    const { length } = this.#made.get(list) ?? [];
    const isCursor = list.endsWith('_cursor');
    if (length === 0) return isCursor ? '' : `{no ${list}}`;
    return `${isCursor ? 'cursor=' : ''}{${list} ${(Number(nth) % length) + 1}}`;
  }

  #remember(line: string, { status, body }: ScriptReply): void {
    if (!isRecord(body)) return;
    const list = /(\w+)(?:\?.*)?$/.exec(line)?.[1] ?? '';
    if (status === 201) this.#add(list, body.id);
    if (status === 201) this.#add('api_keys', body.api_key);
    this.#add(`${list}_cursor`, body.next_cursor);
  }

  #add(list: string, value: unknown): void {
    if (typeof value !== 'string') return;
    this.#made.set(list, [...(this.#made.get(list) ?? []), value]);
  }
}
