/** A server with small limits and a trivial handler, for the tests of the HTTP edge. */
import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import type { FinishedRequest } from '../../src/http/exchange.ts';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { HttpServer } from '../../src/http/server.ts';
import { trustedProxies } from '../../src/http/trusted_proxies.ts';
import { Refusal } from '../../src/kernel/errors.ts';
import type { Reply } from '../../src/kernel/ports.ts';

export const limits = {
  headerBytes: 8_192,
  headerLines: 64,
  targetLength: 2_048,
  body: { bytes: 262_144, wireBytes: 1_048_576, depth: 16 },
  unread: { replyBytes: 4_096, connectionBytes: 1e9, holderBytes: 1e9, bytes: 1e9 },
  headersMs: 30_000,
  requestMs: 30_000,
  timeoutCheckMs: 20,
  keepAliveMs: 5_000,
  connections: 100,
  backlog: 100,
  pipelined: 8,
  lingerMs: 1_000,
  receiveMs: 500,
  streamMs: 60_000,
};

/** For tests that wait for these limits; on a busy machine they would end a good request. */
export const hasty = { headersMs: 500, requestMs: 1_500 };

export type TestServer = {
  server: HttpServer;
  url: string;
  observed: FinishedRequest[];
  faults: unknown[];
  /** The paths that reached the handler. */
  started: string[];
  /** Requests to `/wait` are answered once this is called. */
  release(): void;
};

const servers: HttpServer[] = [];

// A test that failed half-way must not leave a server that keeps the process from ending.
after(() => Promise.all(servers.map((server) => server.drain(0))));

/** Starts it on a free port; it ends with the test file, if not before. */
export async function startTestServer(
  changed: Partial<typeof limits> = {},
  proxies: readonly string[] = [],
  handle: (request: HttpRequest, released: Promise<void>) => Promise<Reply> = answer,
): Promise<TestServer> {
  const observed: FinishedRequest[] = [];
  const faults: unknown[] = [];
  const started: string[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = new HttpServer({
    handle: (request) => {
      started.push(request.path);
      return handle(request, released);
    },
    observe: (finished) => observed.push(finished),
    onInternalError: (error) => faults.push(error),
    onUnavailable: () => {},
    newId: randomUUID,
    nowMs: () => performance.now(),
    trustedProxies: trustedProxies(proxies),
    limits: { ...limits, ...changed },
  });
  servers.push(server);
  const url = await server.listen('127.0.0.1', 0);
  return { server, url, observed, faults, started, release };
}

/** A path for each way in which a handler can end. */
async function answer(request: HttpRequest, released: Promise<void>): Promise<Reply> {
  const { path, query, facts, address, method } = request;
  if (path === '/wait') await released;
  if (path === '/locked') throw new Refusal('unauthenticated');
  if (path === '/broken') throw new Error('select secret from vault');
  // More than the buffers of both kernels hold, so that the client has to read.
  if (path === '/large') return json(200, 'x'.repeat(40_000_000));
  if (method === 'POST') return json(200, { body: await request.body() });
  return json(200, { ...facts, query, address });
}
