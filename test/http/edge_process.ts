/**
 * The HTTP edge in its own process, with the limits of a real server and a handler without a
 * database: any input that ends this process ends it because of the edge alone. Configured by
 * `EDGE`, it answers a message with what it holds in memory.
 */
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { HttpServer } from '../../src/http/server.ts';
import { trustedProxies } from '../../src/http/trusted_proxies.ts';
import type { Reply, RequestRecord } from '../../src/kernel/ports.ts';
import { isUuid, tenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { tenantOn } from '../support/tenant.ts';
import type { EdgeOptions, EdgeState } from './edge_server.ts';

const { guardsOff = [], changed = {} }: EdgeOptions = JSON.parse(process.env.EDGE ?? '{}');
const plan = { name: 'premium', requestsPerHour: 10_000, burst: 10_000 };
/** Serialized anew for each reply, or all replies would share one string in the heap. */
const page = Array.from({ length: 100 }, () => 'x'.repeat(50_000));
const faults: string[] = [];
let release = () => {};
const released = new Promise<void>((resolve) => {
  release = resolve;
});

if (guardsOff.includes('errors')) letErrorsThrough();
const unbounded = { ...limits.http.unread, connectionBytes: 1e12, holderBytes: 1e12, bytes: 1e12 };
const server = new HttpServer({
  handle,
  observe: () => {},
  onInternalError: (error) => faults.push(String(error)),
  onUnavailable: () => {},
  newId: randomUUID,
  nowMs: () => performance.now(),
  trustedProxies: trustedProxies([]),
  limits: {
    ...limits.http,
    ...changed,
    ...(guardsOff.includes('pipelined') ? { pipelined: 1e12 } : {}),
    ...(guardsOff.includes('unread') ? { unread: unbounded } : {}),
  },
});

process.on('message', () => {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const cpuMs = (user + system) / 1_000;
  const state: EdgeState = { rss, heapUsed, cpuMs, faults, ...server.stats };
  process.send?.(state);
});
process.on('disconnect', () => process.exit(0));
process.send?.(await server.listen('127.0.0.1', 0));

/** Each name in `X-Tenant-ID` counts as a known tenant. */
async function handle(request: HttpRequest, record: RequestRecord): Promise<Reply> {
  const [name] = request.facts.tenantHeaders;
  // A fuzzed name may not be valid.
  if (name && isUuid(name)) record.tenant = { ...tenantOn(plan), id: tenantId(name) };
  if (request.method === 'POST') return json(200, { body: await request.body() });
  if (request.path === '/wait') await released;
  if (request.path === '/release') release();
  if (request.path !== '/page') return json(200, { path: request.path });
  return json(200, page.slice(0, Number(request.query.split('=')[1] ?? page.length)));
}

/** As if a connection were admitted without its listener. */
function letErrorsThrough(): void {
  Socket.prototype.on = new Proxy(Socket.prototype.on, {
    apply: (on, socket, heard) => {
      const ours = heard[0] === 'error' && new Error().stack?.includes('connection_table.');
      return ours ? socket : Reflect.apply(on, socket, heard);
    },
  });
}
