/**
 * Where a request goes: to the probes, to the operator's side, or to the kernel. Everything below
 * `/api` that is not the operator's belongs to a tenant, with or without the tenant's prefix.
 */

import type { App } from '../app.ts';
import { corsHeaders } from '../http/cors.ts';
import { json } from '../http/reply.ts';
import type { HttpRequest } from '../http/request.ts';
import { rejectCredential } from '../kernel/credential.ts';
import { Refusal } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';
import { isBearerOf, type Operator } from '../routes/admin/operator.ts';
import { type Deadline, withDeadline } from './deadline.ts';

/** What the probes and the metrics tell. */
export type DispatchParts = {
  app: App;
  ready: () => Promise<boolean>;
  metrics: () => Promise<{ contentType: string; text: string }>;
  adminToken: string;
  /** May read the metrics and nothing else. */
  metricsToken: string | null;
  deadline: Deadline;
};

const tenantPath = /^(?:\/[^/]+)?\/api(?:\/|$)/;
const operatorPath = /^\/api\/admin(?:\/|$)/;

/** The tenant's, before the path of a route. */
const prefix = /^\/[^/]+(?=\/api(?:\/|$))/;

const readMethods = ['GET', 'HEAD', 'OPTIONS'];
const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** @throws {Refusal} whatever the request is refused for. */
export async function dispatch(
  signs: DispatchParts,
  request: HttpRequest,
  trace: RequestRecord,
): Promise<Reply> {
  const { app } = signs;
  const { path } = request;
  if (path === '/livez' || path === '/readyz') return probe(signs, request, trace);
  if (path === '*') return optionsReply(everyMethod);
  if (path === '/metrics' || operatorPath.test(path)) return operate(signs, request, trace);
  if (tenantPath.test(path)) {
    trace.headers = corsHeaders(app.corsOrigins, request);
    if (request.method === 'OPTIONS') return tenantOptions(app, request, trace);
    return withDeadline(request, signs.deadline, (timed) =>
      app.admission.admit(timed, trace, (admitted) => app.kernel.run(admitted, trace)),
    );
  }
  throw new Refusal('not_found', { detail: 'Not found' });
}

/** What a client may ask without a credential: it learns of the API what everybody knows. */
function tenantOptions({ tenantRoutes }: App, request: HttpRequest, trace: RequestRecord): Reply {
  const match = tenantRoutes(request, request.path.replace(prefix, ''));
  trace.endpoint = match.endpoint;
  const allow = 'prepare' in match ? null : match.allow;
  // A browser shows a page the 404 of its request only when it was allowed to send it.
  return optionsReply(allow ?? (request.preflight ? everyMethod : null));
}

function optionsReply(allow: readonly string[] | null): Reply {
  if (allow === null) throw mismatch(null);
  return { status: 204, headers: { allow: allow.join(', ') }, body: null };
}

async function probe(
  signs: DispatchParts,
  { path, method }: HttpRequest,
  trace: RequestRecord,
): Promise<Reply> {
  trace.endpoint = path;
  if (method === 'OPTIONS') return optionsReply(readMethods);
  refuseOtherThanGet(method);
  if (path === '/livez') return json(200, { status: 'ok' });
  if (await signs.ready()) return json(200, { status: 'ok' });
  throw new Refusal('unavailable', { detail: 'Not ready', retryAfterSeconds: 1 });
}

async function operate(
  signs: DispatchParts,
  request: HttpRequest,
  trace: RequestRecord,
): Promise<Reply> {
  const { path, method } = request;
  const match = signs.app.operatorRoutes.match(request, path);
  trace.endpoint = path === '/metrics' ? path : match.endpoint;
  if (method === 'OPTIONS') {
    if (path === '/metrics') return optionsReply(readMethods);
    return optionsReply('prepare' in match ? null : match.allow);
  }
  await admitOperator(signs, request, trace);
  if (path === '/metrics') {
    refuseOtherThanGet(method);
    const { contentType, text } = await signs.metrics();
    return { status: 200, headers: { 'content-type': contentType }, body: text };
  }
  if (!('prepare' in match)) throw mismatch(match.allow);
  const operator: Operator = {
    requestId: trace.requestId,
    idempotencyKey: request.idempotencyKey,
  };
  return (await match.prepare())(operator);
}

/**
 * Whatever is asked for: without the token it is 401. Past the bound nothing that an address sends is
 * tested, the right token included: any difference in the answer would be a test.
 */
async function admitOperator(
  { app: { denials, throttle }, adminToken, metricsToken }: DispatchParts,
  { authorization, address, path }: HttpRequest,
  trace: RequestRecord,
): Promise<void> {
  const tokens = [adminToken, path === '/metrics' ? metricsToken : null];
  const tested = throttle.tests(address, 'operator');
  if (tested && tokens.some((token) => token !== null && isBearerOf(token, authorization))) return;
  const detail = tested
    ? 'Send the admin token as a bearer token'
    : 'Too many wrong tokens came from this address; tokens from it are not tested for a while';
  const wrong = { authorization, address, door: 'operator', slug: null, trace, detail } as const;
  await rejectCredential({ denials, throttle }, wrong);
}

function refuseOtherThanGet(method: string): void {
  if (method !== 'GET' && method !== 'HEAD') throw mismatch(readMethods);
}

function mismatch(allow: readonly string[] | null): Refusal {
  if (!allow) return new Refusal('not_found', { detail: 'Not found' });
  return new Refusal('method_not_allowed', { detail: `Use ${allow.join(' or ')}`, allow });
}
