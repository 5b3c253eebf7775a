/**
 * Which web pages of other origins may read replies (Fetch standard, "CORS protocol"). Origins are
 * listed one by one and echoed exactly; there is no wildcard, and no cookie that could be sent along.
 */
import type { RawHeaders } from './header_values.ts';
import type { HttpRequest } from './request.ts';

const none: RawHeaders = [];

/** So that no cache shows one origin's reply to another. */
const vary: RawHeaders = ['vary', 'Origin'];

const exposed = [
  ...['X-Request-ID', 'ETag', 'Location', 'Link', 'Allow', 'Retry-After', 'WWW-Authenticate'],
  ...['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
  ...['RateLimit-Policy', 'RateLimit'],
].join(', ');

/** What a preflight is told besides; browsers keep it for ten minutes. */
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
 * The header lines for a request of a page.
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
 * The origin as browsers send it, or null when the text is none: no path, no default port, no
 * wildcard, and not the `null` that any sandboxed page has.
 *
 * @example parseOrigin('https://app.example:8443') // 'https://app.example:8443'
 */
export function parseOrigin(text: string): string | null {
  if (!/^https?:\/\/[^*]+$/i.test(text) || !URL.canParse(text)) return null;
  const { origin } = new URL(text);
  return origin === text.toLowerCase() ? origin : null;
}
