/**
 * Lets web pages of listed origins read replies (Fetch standard, "CORS protocol"). An origin is compared
 * and echoed exactly; there is no wildcard, and there are no cookies.
 */
import type { RawHeaders } from './header_values.ts';
import type { HttpRequest } from './request.ts';

const none: RawHeaders = [];

/** Keeps caches from showing one origin's reply to another. */
const vary: RawHeaders = ['vary', 'Origin'];

const exposed = [
  ...['X-Request-ID', 'ETag', 'Location', 'Link', 'Allow', 'Retry-After', 'WWW-Authenticate'],
  ...['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
  ...['RateLimit-Policy', 'RateLimit'],
].join(', ');

/** Further headers for a preflight; browsers keep them for ten minutes. */
const permitted: RawHeaders = [
  ...['access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE'],
  'access-control-allow-headers',
  [
    ...['Authorization', 'Content-Type', 'If-Match', 'If-None-Match', 'Idempotency-Key'],
    ...['X-Tenant-ID', 'X-Request-ID'],
  ].join(', '),
  ...['access-control-max-age', '600'],
];

/**
 * Returns the header lines for a request of a page.
 *
 * @example corsHeaders(new Set(['https://app.example']), { origin: null, preflight: false }) // Vary
 */
export function corsHeaders(
  origins: ReadonlySet<string>,
  { origin, preflight }: Pick<HttpRequest, 'origin' | 'preflight'>,
): RawHeaders {
  if (origins.size === 0) return none;
  if (origin === null || !origins.has(origin)) return vary;
  const allowed = [...vary, 'access-control-allow-origin', origin];
  return preflight
    ? [...allowed, ...permitted]
    : [...allowed, 'access-control-expose-headers', exposed];
}

/**
 * Returns the origin as browsers send it, or null when the text is not one: it may have no path, no
 * default port and no wildcard, and may not be `null`, which every sandboxed page sends.
 *
 * @example parseOrigin('https://app.example:8443') // 'https://app.example:8443'
 */
export function parseOrigin(text: string): string | null {
  if (!/^https?:\/\/[^*]+$/i.test(text) || !URL.canParse(text)) return null;
  const { origin } = new URL(text);
  return origin === text.toLowerCase() ? origin : null;
}
