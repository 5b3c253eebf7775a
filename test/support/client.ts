/**
 * Clients of a running server, on `node:http` because `fetch` does not allow a chosen `Host`
 * header. A request is written as in the contract: `GET /api/pets`.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { adminToken } from './kennel.ts';

/** An answer; `body` is the parsed JSON. */
export type Answer = Awaited<ReturnType<typeof send>>;

export type Headers = Readonly<Record<string, string | string[]>>;

/** Sends `METHOD /path` with an optional JSON body. */
export type Client = (line: string, body?: unknown, headers?: Headers) => Promise<Answer>;

/** The three ways to name a tenant. */
export const ways = ['subdomain', 'path', 'header'] as const;

export type Way = (typeof ways)[number];

const agent = new Agent({ keepAlive: true });

/** Sends one request. A body that is not a string is sent as JSON. */
export async function send(url: string, line: string, body?: unknown, headers: Headers = {}) {
  const [method = '', path = ''] = line.split(' ');
  const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const { hostname, port } = new URL(url);
  const json = content === undefined ? {} : { 'content-type': 'application/json' };
  const outgoing = request({
    agent,
    hostname,
    port,
    method,
    path,
    headers: { ...json, ...headers },
  });
  outgoing.end(content);
  const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
  if (!incoming) throw new Error('Cannot read an answer: there is none');
  const received = await text(incoming);
  return {
    status: incoming.statusCode,
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    text: received,
    body: jsonOf(incoming.headers['content-type'], received),
  };
}

/** A client with the operator's token. */
export function operatorOf({ url }: { url: string }): Client {
  return (line, body, headers) => send(url, line, body, { ...bearer(adminToken), ...headers });
}

/** A client with a tenant's key that names the tenant in one of the three ways. */
export function clientOf(
  { url }: { url: string },
  { slug, apiKey, way = 'header' }: { slug: string; apiKey: string; way?: Way },
): Client {
  const { prefix, named } = naming(url, slug)[way];
  return (line, body, headers) =>
    send(url, line.replace(' ', ` ${prefix}`), body, { ...bearer(apiKey), ...named, ...headers });
}

/** A tenant that was just created, with a client that has its admin's key. */
export type Onboarded = { slug: string; id: string; apiKey: string; call: Client };

/** Creates a tenant over HTTP, with a large budget unless the order says otherwise. */
export async function onboard(
  server: { url: string },
  slug: string,
  order: Readonly<Record<string, string>> = {},
): Promise<Onboarded> {
  const body = { slug, name: `Pets of ${slug}`, plan: 'enterprise', ...order };
  const created = await operatorOf(server)('POST /api/admin/tenants', body);
  assert.equal(created.status, 201, created.text);
  const { tenant, admin } = created.body;
  const apiKey: string = admin.api_key;
  return { slug, id: tenant.id, apiKey, call: clientOf(server, { slug, apiKey }) };
}

export function bearer(token: string): Headers {
  return { authorization: `Bearer ${token}` };
}

/** An RFC 9457 problem with the contract's members, which reveals nothing internal. */
export function assertProblem(answer: Answer, status: number, code: string): void {
  const { body, headers } = answer;
  assert.equal(answer.status, status, answer.text);
  assert.equal(headers['content-type'], 'application/problem+json');
  const { type, title, detail, errors: _, ...rest } = body;
  for (const text of [type, title, detail]) assert.equal(typeof text, 'string');
  assert.deepEqual(rest, { status, code, request_id: headers['x-request-id'] });
}

export function naming(url: string, slug: string): Record<Way, { prefix: string; named: Headers }> {
  return {
    subdomain: { prefix: '', named: { host: `${slug}.localhost:${new URL(url).port}` } },
    path: { prefix: `/${slug}`, named: {} },
    header: { prefix: '', named: { 'x-tenant-id': slug } },
  };
}

function jsonOf(contentType: string | undefined, received: string) {
  return contentType?.includes('json') && received !== '' ? JSON.parse(received) : null;
}
