/** The replies of handlers. Refusals are thrown instead; see `problem.ts`. */
import type { Reply } from '../kernel/ports.ts';
import { entityTag } from './preconditions.ts';

/**
 * Returns a value as JSON.
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
 * Returns a single resource as JSON, with the tag of its representation.
 *
 * @example resource(200, pet)
 */
export function resource(status: number, value: unknown, location?: string): Reply {
  const body = JSON.stringify(value);
  const etag = entityTag(body);
  return { status, headers: location === undefined ? { etag } : { etag, location }, body };
}

/** Returns a reply that clients save as a file, whose bytes are made while they are sent. */
export function download(
  { name, type }: { name: string; type: string },
  stream: (requestId: string) => AsyncGenerator<Uint8Array>,
): Reply {
  const headers = {
    'content-type': type,
    'content-disposition': `attachment; filename="${name}"`,
  };
  return { status: 200, headers, body: null, stream };
}

/** Returns a reply for a change without a result. */
export function noContent(): Reply {
  return { status: 204, body: null };
}
