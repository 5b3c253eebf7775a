/**
 * Where a request goes: to the probes, to the operator's side, or to the kernel. Everything below
 * `/api` that is not the operator's belongs to a tenant, with or without the tenant's prefix.
 */
import { type AnswerLimit, answerInTime } from './answer_limit.ts';
import type { App } from './app.ts';
import { json } from './http/reply.ts';
import type { HttpRequest } from './http/request.ts';
import { refuseCredential } from './kernel/credential.ts';
import { Refusal } from './kernel/errors.ts';
import type { Reply, Trace } from './kernel/ports.ts';
import { isBearerOf, type Operator } from './routes/admin/operator.ts';

/** What the probes and the metrics tell. */
export type Signs = {
  /** Null while starting. */
  app: () => App | null;
  ready: () => Promise<boolean>;
  metrics: () => Promise<{ contentType: string; text: string }>;
  adminToken: () => string | null;
  /** May read the metrics and nothing else. */
  metricsToken: string | null;
  answerLimit: AnswerLimit;
};

const tenantPath = /^(?:\/[^/]+)?\/api(?:\/|$)/;
const operatorPath = /^\/api\/admin(?:\/|$)/;

/** @throws {Refusal} whatever the request is refused for. */
export async function answer(signs: Signs, request: HttpRequest, trace: Trace): Promise<Reply> {
  const { path } = request;
  if (path === '/livez' || path === '/readyz') return probe(signs, request, trace);
  const app = signs.app();
  if (!app)
    throw new Refusal('unavailable', { detail: 'Kennel is starting', retryAfterSeconds: 1 });
  if (path === '/metrics' || operatorPath.test(path)) return operate(signs, app, request, trace);
  if (tenantPath.test(path)) {
    return answerInTime(request, signs.answerLimit, (timed) =>
      app.admission.admit(timed, trace, (admitted) => app.kernel.run(admitted, trace)),
    );
  }
  throw new Refusal('not_found', { detail: 'Not found' });
}

async function probe(signs: Signs, { path, method }: HttpRequest, trace: Trace): Promise<Reply> {
  trace.endpoint = path;
  refuseOtherThanGet(method);
  if (path === '/livez') return json(200, { status: 'ok' });
  if (await signs.ready()) return json(200, { status: 'ok' });
  throw new Refusal('unavailable', { detail: 'Not ready', retryAfterSeconds: 1 });
}

async function operate(signs: Signs, app: App, request: HttpRequest, trace: Trace): Promise<Reply> {
  const { path, method } = request;
  const match = app.operatorRoutes.match(request, path);
  trace.endpoint = path === '/metrics' ? path : match.endpoint;
  await admitOperator(signs, app, request, trace);
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
  { adminToken, metricsToken }: Signs,
  { denials, throttle }: App,
  { authorization, address, path }: HttpRequest,
  trace: Trace,
): Promise<void> {
  const tokens = [adminToken(), path === '/metrics' ? metricsToken : null];
  const tested = throttle.tests(address, 'operator');
  if (tested && tokens.some((token) => token !== null && isBearerOf(token, authorization))) return;
  const detail = tested
    ? 'Send the admin token as a bearer token'
    : 'Too many wrong tokens came from this address; tokens from it are not tested for a while';
  const wrong = { authorization, address, door: 'operator', slug: null, trace, detail } as const;
  await refuseCredential({ denials, throttle }, wrong);
}

function refuseOtherThanGet(method: string): void {
  if (method !== 'GET' && method !== 'HEAD') throw mismatch(['GET', 'HEAD']);
}

function mismatch(allow: string[] | null): Refusal {
  if (!allow) return new Refusal('not_found', { detail: 'Not found' });
  return new Refusal('method_not_allowed', { detail: `Use ${allow.join(' or ')}`, allow });
}
