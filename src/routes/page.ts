/**
 * Lists by keyset: a cursor is the sort key of the last item, so a page costs the same however far
 * one has come. A cursor is a position and no permission; row security decides what is seen from it.
 */
import * as v from 'valibot';
import { json } from '../http/reply.ts';
import type { Target } from '../http/request_target.ts';
import type { Reply } from '../kernel/ports.ts';

type Key = readonly string[];

/** The `cursor` of a list whose sort key has the given parts; each must look as its check says. */
export function cursor(...parts: ((text: string) => boolean)[]) {
  return v.pipe(
    v.string(),
    v.maxLength(500, 'Expected a cursor of this list'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const key = decode(dataset.value);
      if (key?.length === parts.length && parts.every((fits, at) => fits(key[at] ?? '')))
        return key;
      addIssue({ message: 'Expected a cursor of this list' });
      return NEVER;
    }),
  );
}

/** How long a page may be, and where the request for it was sent. */
export type PageOptions = { limit: number; target: Target };

/**
 * The reply for a page, from rows that were fetched with one more than `limit` asks for. The next one
 * is also told as a link (RFC 8288).
 *
 * @param keyOf the sort key of a row.
 * @param show the row as an item of the list.
 */
export function page<Row>(
  rows: Row[],
  { limit, target }: PageOptions,
  keyOf: (row: Row) => Key,
  show: (row: Row) => unknown = (row) => row,
): Reply {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last !== undefined ? encode(keyOf(last)) : null;
  const links = next === null ? {} : { link: `<${withCursor(target, next)}>; rel="next"` };
  return json(200, { items: shown.map(show), next_cursor: next }, links);
}

/** The same target, with the tenant's prefix if it has one; its query is encoded anew. */
function withCursor({ path, query }: Target, next: string): string {
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', next);
  return `${path}?${parameters}`;
}

function encode(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

function decode(text: string): string[] | null {
  try {
    const key: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return Array.isArray(key) && key.every((part) => typeof part === 'string') ? key : null;
  } catch {
    return null;
  }
}
