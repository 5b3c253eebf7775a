/**
 * A request as a plain record. Everything that decides about tenant, caller or route is checked here
 * once, strictly: a request that could be read in two ways is refused.
 */
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import { Refusal } from '../kernel/errors.ts';
import type { RequestFacts } from '../kernel/ports.ts';
import { hasBody } from './framing.ts';
import { headerValues, type RawHeaders, soleHeader } from './header_values.ts';
import { hostName } from './host_name.ts';
import { type Preconditions, preconditionsIn } from './preconditions.ts';
import { parseTarget } from './request_target.ts';
import { clientAddress, forwardedHost, isTrusted } from './trusted_proxies.ts';

/** Reads the JSON body of a request. May be called once. */
export type ReadBody = () => Promise<unknown>;

export type HttpRequest = {
  method: string;
  /** Without the query; never decoded. */
  path: string;
  /** The text after the question mark, never decoded; empty when there is none. */
  query: string;
  facts: RequestFacts;
  authorization: string | null;
  idempotencyKey: string | null;
  /** Null when it has none. */
  preconditions: Preconditions | null;
  /** The client asks for the result of its change: `Prefer: return=representation` (RFC 7240, section 4.2). */
  prefersRepresentation: boolean;
  /** The origin of the web page that sent the request, from the browser. */
  origin: string | null;
  /** A browser asks in advance whether a page of another origin may send a request. */
  preflight: boolean;
  /** The client's IP address. */
  address: string;
  /** By its headers. */
  hasBody: boolean;
  body: ReadBody;
};

/** The peer of the connection, and the limits for its request. */
export type HeadOptions = {
  peer: string;
  trustedProxies: BlockList;
  limits: {
    /** The longest request target, in characters. */
    targetLength: number;
    /** The maximum number of header lines. */
    headerLines: number;
  };
  body: ReadBody;
};

const requestIdPattern = /^[A-Za-z0-9._-]{8,64}$/;

/** Returns the request's own `X-Request-ID` when it is a plain one, else a new id. */
export function requestIdOf(raw: RawHeaders, newId: () => string): string {
  const [sent, ...others] = headerValues(raw, 'x-request-id');
  if (sent === undefined || others.length > 0) return newId();
  return requestIdPattern.test(sent) ? sent : newId();
}

/**
 * Whether no request may follow on the same connection. After an offer to upgrade, node drops the rest of
 * the packet and reads the next packet as a new request. After an `Expect` it may close the connection.
 */
export function isLastRequest(raw: RawHeaders): boolean {
  return headerValues(raw, 'upgrade').length > 0 || headerValues(raw, 'expect').length > 0;
}

/** Whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1). */
export function expectsContinue({
  httpVersion,
  rawHeaders,
}: Pick<IncomingMessage, 'httpVersion' | 'rawHeaders'>): boolean {
  const [expected, ...others] = headerValues(rawHeaders, 'expect');
  const sole = httpVersion === '1.1' && others.length === 0;
  return sole && expected?.toLowerCase() === '100-continue';
}

/**
 * Returns the request, read from its headers.
 *
 * @throws {Refusal} `malformed`, `headers_too_large`, `uri_too_long` or `not_implemented`.
 */
export function readHead(
  incoming: Pick<IncomingMessage, 'httpVersion' | 'method' | 'rawHeaders' | 'url'>,
  options: HeadOptions,
): HttpRequest {
  const { rawHeaders: raw, url = '', method = '' } = incoming;
  refuseOversized(raw, url, options.limits);
  const framed = hasBody(incoming.httpVersion, raw);
  refuseUpgrade(raw);
  if (!isKnownMethod(method)) throw unknownMethod();
  const host = hostHeader(incoming);
  const ownName = host === null ? '' : hostName(host);
  const sent = believedHost(raw, options);
  const forwarded = sent === null ? ownName : hostName(sent);
  const { path, query } = parseTarget(url, { method, host: host ?? '' });
  const origin = headerValues(raw, 'origin')[0] ?? null;
  const { peer, trustedProxies, body } = options;
  return {
    method,
    path,
    query,
    facts: {
      host: forwarded,
      ...(forwarded === ownName ? {} : { ownHost: ownName }),
      path,
      tenantHeaders: headerValues(raw, 'x-tenant-id').filter((value) => value !== ''),
    },
    authorization: soleHeader(raw, 'authorization'),
    idempotencyKey: soleHeader(raw, 'idempotency-key'),
    preconditions: preconditionsIn(raw),
    prefersRepresentation: method === 'DELETE' && prefersRepresentation(raw),
    origin,
    preflight: isPreflight(method, origin, raw),
    address: clientAddress(trustedProxies, peer, headerValues(raw, 'x-forwarded-for')),
    hasBody: framed,
    body,
  };
}

/** An unknown or malformed preference is passed over, as RFC 7240 asks. */
function prefersRepresentation(raw: RawHeaders): boolean {
  const preferences = headerValues(raw, 'prefer').flatMap((value) => value.split(','));
  return preferences.some((one) => /^\s*return\s*=\s*"?representation"?\s*(;|$)/i.test(one));
}

/** Returns the host that a trusted proxy names, or null. */
function believedHost(raw: RawHeaders, { peer, trustedProxies }: HeadOptions): string | null {
  const forwarded = forwardedHost(headerValues(raw, 'x-forwarded-host'));
  return forwarded !== null && isTrusted(trustedProxies, peer) ? forwarded : null;
}

function refuseOversized(raw: RawHeaders, url: string, limits: HeadOptions['limits']): void {
  if (raw.length > 2 * limits.headerLines) {
    throw new Refusal('headers_too_large', {
      detail: `Cannot read the request: it has more than ${limits.headerLines} header lines`,
    });
  }
  if (url.length > limits.targetLength) throw targetTooLong(limits.targetLength);
}

/** Also used when the target is too long for node's parser. */
export function targetTooLong(length: number): Refusal {
  return new Refusal('uri_too_long', {
    detail: `Cannot read the request target: it has more than ${length} characters`,
  });
}

/** The methods of RFC 9110 and RFC 5789. One that a path does not have is `method_not_allowed`. */
const methods: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
]);

export function isKnownMethod(method: string): boolean {
  return methods.has(method);
}

/** Also used for a method that node's parser does not know. */
export function unknownMethod(): Refusal {
  return new Refusal('not_implemented', { detail: 'No resource has this method' });
}

/** Null for HTTP/1.0 without `Host`, which HAProxy's health check sends (RFC 9112, section 3.2). */
function hostHeader({
  httpVersion,
  rawHeaders,
}: Pick<IncomingMessage, 'httpVersion' | 'rawHeaders'>): string | null {
  const host = soleHeader(rawHeaders, 'host');
  return host === null && httpVersion !== '1.0' ? '' : host;
}

function isPreflight(method: string, origin: string | null, raw: RawHeaders): boolean {
  if (method !== 'OPTIONS' || origin === null) return false;
  return headerValues(raw, 'access-control-request-method').length > 0;
}

/** An offer of HTTP/2 is ignored (RFC 9110, 7.8): Java's client makes it by default. */
function refuseUpgrade(raw: RawHeaders): void {
  const offered = headerValues(raw, 'upgrade').find((value) => value.toLowerCase() !== 'h2c');
  if (offered === undefined) return;
  throw new Refusal('malformed', {
    detail: 'Cannot upgrade the connection: this server only speaks HTTP/1.1',
  });
}
