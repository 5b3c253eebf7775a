/**
 * Ids, times, cursors, keys and request ids differ between participants. Each is replaced by its
 * kind and the ordinal of its first appearance: `{id 2}` is the second id that ever appeared, so
 * equal values stay equal, and different ones stay different.
 */
import { isRecord } from './response.ts';

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

/**
 * By the name of the member or header. A value in another form is kept, so the difference shows.
 */
const kinds: Readonly<Record<string, { kind: string; form: RegExp }>> = {
  'x-request-id': { kind: 'request', form: uuids },
  request_id: { kind: 'request', form: uuids },
  next_cursor: { kind: 'cursor', form: /^.+$/ },
  api_key: { kind: 'key', form: /^kn_[0-9a-f]{32}_[0-9a-f]{64}$/ },
};

const times = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+Z$/;

export class Labels {
  readonly #known = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #names: ReadonlyMap<string, string>;

  /** @param names the participant's own names, and the label for each: its slug, its mode. */
  constructor(names: Readonly<Record<string, string>>) {
    this.#names = new Map(Object.entries(names));
  }

  /** The value with labels in it; members in order, because the order decides which comes first. */
  of(value: unknown, name = ''): unknown {
    if (typeof value === 'string') return this.#text(value, name);
    if (Array.isArray(value)) return value.map((item) => this.of(item));
    if (!isRecord(value)) return value;
    const members = Object.keys(value).sort();
    return Object.fromEntries(members.map((member) => [member, this.of(value[member], member)]));
  }

  #text(text: string, name: string): string {
    const { kind, form } = kinds[name] ?? { kind: 'id', form: uuids };
    return (
      this.#names.get(text) ??
      text
        .replace(form, (found) => this.#label(kind, found))
        .replace(times, (found) => this.#label('time', found))
    );
  }

  #label(kind: string, found: string): string {
    const known = this.#known.get(`${kind} ${found}`);
    if (known) return known;
    const ordinal = (this.#counts.get(kind) ?? 0) + 1;
    const label = `{${kind} ${ordinal}}`;
    this.#counts.set(kind, ordinal);
    this.#known.set(`${kind} ${found}`, label);
    return label;
  }
}
