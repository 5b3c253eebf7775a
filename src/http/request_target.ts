/**
 * The request target (RFC 9112, section 3.2), split but never decoded. A target that two parsers could
 * read differently is refused, so that a proxy, the tenant resolvers and the router see the same path.
 */
import { Refusal } from '../kernel/errors.ts';

/** `path` begins with a slash; `query` is the text after the question mark, or empty. */
export type RequestTarget = { path: string; query: string };

const absolutePattern = /^https?:\/\/([^/?#]*)(.*)$/i;

// The plain characters of RFC 3986 without `%` and `;`. No path of ours needs them, and `%2f`, `%2e`,
// `%00` and `..;` have passed many access checks. Empty segments are refused, too.
const originPattern =
  /^(\/(?:[\w.~!$&'()*+,=:@-]+(?:\/[\w.~!$&'()*+,=:@-]+)*\/?)?)(?:\?([!"$-~]*))?$/;

const dotSegmentPattern = /\/\.{1,2}(?:\/|$)/;

/**
 * Splits a request target. The absolute form is accepted for the request's own host.
 *
 * @example parseTarget('/api/pets?limit=5', sent) // path '/api/pets', query 'limit=5'
 * @throws {Refusal} `malformed` for any other form, and for a path that could be read in two ways.
 */
export function parseTarget(
  target: string,
  { method, host }: { method: string; host: string },
): RequestTarget {
  // `*` stands for the whole server (RFC 9110, section 9.3.7).
  if (method === 'OPTIONS' && target === '*') return { path: target, query: '' };
  const [, path, query] = originPattern.exec(originForm(target, host)) ?? [];
  if (path === undefined || dotSegmentPattern.test(path)) {
    throw new Refusal('malformed', {
      detail: 'Cannot read the request target: it is not a plain path',
    });
  }
  return { path, query: query ?? '' };
}

function originForm(target: string, host: string): string {
  const [, authority, rest] = absolutePattern.exec(target) ?? [];
  if (authority === undefined || rest === undefined) return target;
  if (authority.toLowerCase() !== host.toLowerCase()) {
    throw new Refusal('malformed', {
      detail: 'Cannot read the request target: its authority is not the Host header',
    });
  }
  return rest.startsWith('/') ? rest : `/${rest}`;
}
