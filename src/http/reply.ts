/** The replies that handlers make. Refusals are thrown instead; see `problem.ts`. */
import type { Reply } from '../kernel/ports.ts';
import { entityTag } from './preconditions.ts';

/**
 * A value as JSON.
 *
 * @example json(201, { id }, { location: `/api/pets/${id}` })
 */
export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { status, headers, body: JSON.stringify(value) };
}

/**
 * A single resource as JSON, with the tag of this very representation.
 *
 * @example resource(200, pet)
 */
export function resource(status: number, value: unknown, location?: string): Reply {
  const body = JSON.stringify(value);
  const etag = entityTag(body);
  return { status, headers: location === undefined ? { etag } : { etag, location }, body };
}

/** Done, and nothing to tell. */
export function noContent(): Reply {
  return { status: 204, body: null };
}
