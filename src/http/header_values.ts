/**
 * Headers as they were sent. Node's `headers` keeps only the first of several `Host` or `Authorization`
 * lines, and a proxy in front may use another one. So headers that decide about tenant or caller are
 * read from the raw list.
 */
import { Refusal } from '../kernel/errors.ts';

/** Names and values in turn, as in node's `IncomingMessage`. */
export type RawHeaders = readonly string[];

/**
 * Returns every value of a header, in order. `name` is in lower case.
 *
 * @example headerValues(['Host', 'a', 'host', 'b'], 'host') // ['a', 'b']
 */
export function headerValues(raw: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const sent = raw[at] ?? '';
    // Compares lengths first, which is fast: this runs for every header of every request.
    if (sent.length === name.length && sent.toLowerCase() === name) values.push(raw[at + 1] ?? '');
  }
  return values;
}

/**
 * Returns the only value of a header, or null when it was not sent.
 *
 * @throws {Refusal} `malformed` when it was sent more than once.
 */
export function soleHeader(raw: RawHeaders, name: string): string | null {
  const [value, ...others] = headerValues(raw, name);
  if (others.length === 0) return value ?? null;
  throw new Refusal('malformed', {
    detail: `Cannot read the request: there are several "${name}" headers`,
  });
}
