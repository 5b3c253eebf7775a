/**
 * Keyset pagination: a cursor is the sort key of the last item, so every page costs the same. A cursor
 * is a position, not a permission: row security decides which rows are visible.
 */
import * as v from 'valibot';
import { json } from '../http/reply.ts';
import type { RequestTarget } from '../http/request_target.ts';
import type { Reply } from '../kernel/ports.ts';

type Key = readonly string[];

/** A list's `cursor`. Each part of the sort key is checked by its function. */
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

/** The page size, and the target of the request. */
export type PageOptions = { limit: number; target: RequestTarget };

/**
 * Returns the reply for a page, with a link to the next one (RFC 8288).
 *
 * @param rows One more than `limit` when there is a next page.
 * @param keyOf Returns the sort key of a row.
 * @param show Returns the row as an item of the list.
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

/** Returns the same target with another cursor. The tenant's prefix stays in the path. */
function withCursor({ path, query }: RequestTarget, next: string): string {
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
