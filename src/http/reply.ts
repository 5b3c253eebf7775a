/** The replies that handlers make. Refusals are thrown instead; see `problem.ts`. */
import type { Reply } from '../kernel/ports.ts';

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

/** Done, and nothing to tell. */
export function noContent(): Reply {
  return { status: 204, body: null };
}
