/**
 * Sends each request to a probe, to the operator's routes or to the kernel. Every path below `/api` that
 * is not the operator's belongs to a tenant, with or without the tenant's prefix.
 */

import type { App } from '../app.ts';
import { corsHeaders } from '../http/cors.ts';
import { json } from '../http/reply.ts';
import type { HttpRequest } from '../http/request.ts';
import { rejectCredential } from '../kernel/credential.ts';
import { notFound, Refusal } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';
import { isBearerOf, type Operator } from '../routes/admin/operator.ts';
import { type Deadline, withDeadline } from './deadline.ts';

export type DispatchParts = {
  app: App;
  ready: () => Promise<boolean>;
  metrics: () => Promise<{ contentType: string; text: string }>;
  adminToken: string;
  /** This token may read the metrics and nothing else. */
  metricsToken: string | null;
  deadline: Deadline;
};

const tenantPath = /^(?:\/[^/]+)?\/api(?:\/|$)/;
const operatorPath = /^\/api\/admin(?:\/|$)/;

const readMethods = ['GET', 'HEAD', 'OPTIONS'];
const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** @throws {Refusal} when the request is refused. */
export async function dispatch(
  parts: DispatchParts,
  request: HttpRequest,
  record: RequestRecord,
): Promise<Reply> {
  const { app } = parts;
  const { path } = request;
  record.trace?.stage('dispatch');
  if (path === '/livez' || path === '/readyz') return probe(parts, request, record);
  if (path === '*') return optionsReply(everyMethod);
  if (path === '/metrics' || operatorPath.test(path)) return operate(parts, request, record);
  if (tenantPath.test(path)) {
    record.headers = corsHeaders(app.corsOrigins, request);
    if (request.method === 'OPTIONS') return tenantOptions(app, request, record);
    return withDeadline(request.body, parts.deadline, (timed) =>
      app.admission.admit(timed, record, (body) => app.kernel.run({ ...request, body }, record)),
    );
  }
  return notFound();
}

/** Needs no credential: the routes of the API are public. */
function tenantOptions(
  { tenantRoutes, routePath }: App,
  request: HttpRequest,
  record: RequestRecord,
): Reply {
  const match = tenantRoutes(request, routePath(request.path));
  record.endpoint = match.endpoint;
  const allow = 'parse' in match ? null : match.allow;
  // After a refused preflight a browser would not send the request, and hide its 404 from the page.
  return optionsReply(allow ?? (request.preflight ? everyMethod : null));
}

function optionsReply(allow: readonly string[] | null): Reply {
  if (allow === null) throw mismatch(null);
  return { status: 204, headers: { allow: allow.join(', ') }, body: null };
}

async function probe(
  parts: DispatchParts,
  { path, method }: HttpRequest,
  record: RequestRecord,
): Promise<Reply> {
  record.endpoint = path;
  if (method === 'OPTIONS') return optionsReply(readMethods);
  refuseOtherThanGet(method);
  if (path === '/livez') return json(200, { status: 'ok' });
  if (await parts.ready()) return json(200, { status: 'ok' });
  throw new Refusal('unavailable', {
    detail: 'The server is not ready; try again later',
    retryAfterSeconds: 1,
  });
}

async function operate(
  parts: DispatchParts,
  request: HttpRequest,
  record: RequestRecord,
): Promise<Reply> {
  const { path, method } = request;
  const match = parts.app.operatorRoutes.match(request, path);
  record.endpoint = path === '/metrics' ? path : match.endpoint;
  if (method === 'OPTIONS') {
    if (path === '/metrics') return optionsReply(readMethods);
    return optionsReply('parse' in match ? null : match.allow);
  }
  await admitOperator(parts, request, record);
  if (path === '/metrics') {
    refuseOtherThanGet(method);
    const { contentType, text } = await parts.metrics();
    return { status: 200, headers: { 'content-type': contentType }, body: text };
  }
  if (!('parse' in match)) throw mismatch(match.allow);
  const operator: Operator = {
    requestId: record.requestId,
    idempotencyKey: request.idempotencyKey,
    prefersRepresentation: request.prefersRepresentation,
  };
  return (await match.parse())(operator);
}

/**
 * Without the right token every path is 401. After too many wrong tokens, no token of that address is
 * tested, not even the right one: a different reply would tell a guesser that its token is right.
 */
async function admitOperator(
  { app: { denials, throttle }, adminToken, metricsToken }: DispatchParts,
  { authorization, address, path }: HttpRequest,
  record: RequestRecord,
): Promise<void> {
  const tokens = [adminToken, path === '/metrics' ? metricsToken : null];
  const tested = throttle.checksCredentials(address, 'operator');
  if (tested && tokens.some((token) => token !== null && isBearerOf(token, authorization))) return;
  const detail = tested
    ? 'Send the admin token as a bearer token'
    : 'Too many wrong tokens came from this address, so its tokens are not tested; try again later';
  const wrong = { authorization, address, kind: 'operator', slug: null, record, detail } as const;
  await rejectCredential({ denials, throttle }, wrong);
}

function refuseOtherThanGet(method: string): void {
  if (method !== 'GET' && method !== 'HEAD') throw mismatch(readMethods);
}

function mismatch(allow: readonly string[] | null): Refusal {
  if (!allow) return notFound();
  return new Refusal('method_not_allowed', { detail: `Use ${allow.join(' or ')}`, allow });
}
