/**
 * A server in this process, on a real socket, that a test may alter: with a guard taken off, as a
 * control, or with a route that no tenant should have.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoginThrottle } from '../../src/adapters/login_throttle/login_throttle.ts';
import { type App, openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { HttpServer } from '../../src/http/server.ts';
import { tenantIsolation } from '../../src/isolation/tenant_db.ts';
import type { KernelParts } from '../../src/kernel/kernel.ts';
import type { Handle } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { createLog, type LineSink, type Log, requestLine } from '../../src/observability/log.ts';
import { Prometheus } from '../../src/observability/prometheus.ts';
import type { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import type { Admission } from '../../src/server/admission_control.ts';
import { dispatch } from '../../src/server/dispatch.ts';
import { registerMetrics } from '../../src/server/metrics.ts';
import { adminToken, type Variables } from './kennel.ts';

type Parts = KernelParts<HttpRequest>;

export type LabOptions = {
  variables?: Variables;
  /** Changes the kernel's parts. The whole exists once the first request comes. */
  alter?: (parts: Parts, app: () => App) => Parts;
  admission?: Admission;
  throttle?: LoginThrottle;
  /** How long a tenant waits for a reply, if not as long as on a real server. */
  answerMs?: number;
  /** Called for a request before anything else. */
  first?: (request: HttpRequest, app: App) => Promise<void>;
};

export type Lab = { url: string; app: App; close: () => Promise<void> };

const silence: LineSink = { writableLength: 0, write: (_text, onWritten) => onWritten?.() };

/** Opens it on a free port. */
export async function openLab(databaseUrl: string, options: LabOptions = {}): Promise<Lab> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'kennel-lab-'));
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    ADMIN_TOKEN: adminToken,
    DATA_DIR: dataFolder,
    PORT: '0',
    ...options.variables,
  });
  const log = createLog({ ...limits.log, level: 'info', sink: silence, nowMs: Date.now });
  const metrics = new Prometheus({ ...limits.metrics, nowMs: Date.now });
  const app = await openAltered(options, { config, log, metrics });
  const server = serverOf(app, options, { log, metrics, trustedProxies: config.trustedProxies });
  registerMetrics(metrics, { app, server, build: { version: 'lab' } });
  const url = await server.listen(config.host, config.port);
  const close = async () => {
    await server.drain(0);
    await app.close();
    await rm(dataFolder, { recursive: true, force: true });
  };
  return { url, app, close };
}

/** The parts with one more route, for any method and any caller. */
export function withRoute(parts: Parts, endpoint: string, work: Handle): Parts {
  const match = { endpoint, role: null, parse: async () => work };
  const routes: Parts['routes'] = (request, path) =>
    path === endpoint ? match : parts.routes(request, path);
  return { ...parts, routes };
}

/** The parts with every tenant's tables behind the connections of another pool. */
export function withPool(parts: Parts, app: () => App, pool: ConnectionPool): Parts {
  const isolation: Parts['isolation'] = {
    run: (tenant, work) => {
      const { connections, fleet } = app().services;
      return tenantIsolation({ ...connections, pool }, fleet.modes).run(tenant, work);
    },
  };
  return { ...parts, isolation };
}

type Wiring = { config: ReturnType<typeof readConfig>; log: Log; metrics: Prometheus };

async function openAltered(
  { alter = (parts) => parts, admission, throttle }: LabOptions,
  { config, log, metrics }: Wiring,
): Promise<App> {
  let opened: App | undefined;
  const whole = () => {
    if (!opened) throw new Error('Cannot alter the kernel with the whole: it is not open yet');
    return opened;
  };
  const app = await openApp({
    config,
    adminUrl: config.databaseUrl ?? '',
    log,
    labels: metrics,
    alter: (parts) => alter({ ...parts, ...(throttle ? { throttle } : {}) }, whole),
  });
  opened = { ...app, ...(admission ? { admission } : {}), ...(throttle ? { throttle } : {}) };
  return opened;
}

type ServerWiring = Omit<Wiring, 'config'> & Pick<Wiring['config'], 'trustedProxies'>;

function serverOf(
  app: App,
  { first, answerMs = limits.answerMs }: LabOptions,
  { log, metrics, trustedProxies }: ServerWiring,
): HttpServer {
  const parts = {
    app,
    ready: async () => true,
    metrics: () => metrics.render(),
    adminToken,
    metricsToken: null,
    deadline: { limitMs: answerMs, nowMs: () => performance.now() },
  };
  return new HttpServer({
    handle: async (request, record) => {
      await first?.(request, app);
      return dispatch(parts, request, record);
    },
    observe: (finished) => {
      metrics.observe(finished);
      log.info('request', requestLine(finished));
    },
    onInternalError: (error, requestId) =>
      log.error('request failed with an internal error', { request_id: requestId, error }),
    onUnavailable: () => {},
    newId: randomUUID,
    nowMs: () => performance.now(),
    trustedProxies,
    limits: limits.http,
  });
}
