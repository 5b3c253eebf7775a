/**
 * The server of the lab: the real composition on a real socket, with the vulnerable routes beside
 * the real ones, and without the layers that were taken off.
 */
import { v7 as uuidv7 } from 'uuid';
import { type App, openApp } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import type { FinishedRequest } from '../../src/http/exchange.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { HttpServer } from '../../src/http/server.ts';
import { trustedProxies } from '../../src/http/trusted_proxies.ts';
import type { Connections } from '../../src/isolation/tenant_db.ts';
import { Refusal } from '../../src/kernel/errors.ts';
import type { Isolation, Reply, RequestRecord, TenantRef } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import type { Log } from '../../src/observability/log.ts';
import { Prometheus } from '../../src/observability/prometheus.ts';
import { type DispatchParts, dispatch } from '../../src/server/dispatch.ts';
import {
  anyStatements,
  CarelessEnvelopes,
  type Carelessness,
  carelessIsolation,
} from './careless_isolation.ts';
import { type LayerName, layerOf } from './layer.ts';
import {
  type Parts,
  rememberedName,
  rememberingNames,
  withNamesKept,
} from './layers_of_the_kernel.ts';
import { LooseServer } from './loose_server.ts';
import { withVulnerable } from './vulnerable_routes.ts';

export type LabServer = {
  app: App;
  url: string;
  /** For work that the lab itself does for a tenant. */
  connections: Connections;
  /** Whether the text of a statement contains its context, as a comment. */
  tellsContext: boolean;
  close(): Promise<void>;
};

export type LabServerOptions = {
  config: Config;
  adminUrl: string;
  adminToken: string;
  without: ReadonlySet<LayerName>;
  /** The tenant in whose placement all tenants work when none has its own. */
  victim: () => TenantRef | null;
};

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, flush: async () => {} };

export async function openLabServer(options: LabServerOptions): Promise<LabServer> {
  const { config, adminUrl, without } = options;
  let opened: App | undefined;
  const world = { app: () => opened ?? notOpen() };
  const isolation = isolationWithout(options, world.app);
  const app = await openApp({
    config,
    adminUrl,
    log: quiet,
    labels: { names: () => [], forget: () => {} },
    alter: (parts) => altered(parts, { without, world, isolation }),
  });
  opened = app;
  const http = openHttp(app, options);
  const url = await http.listen('127.0.0.1', 0);
  const careless = carelessnessOf(options);
  return {
    app,
    url,
    connections: {
      pool: app.services.connections.pool,
      envelopes: new CarelessEnvelopes(careless),
    },
    tellsContext: without.has('bound seal'),
    close: async () => {
      await http.drain(0);
      await isolation.close();
      await app.close();
    },
  };
}

type Alteration = {
  without: ReadonlySet<LayerName>;
  world: { app(): App };
  isolation: Isolation;
};

function altered(parts: Parts, { without, world, isolation }: Alteration): Parts {
  let changed: Parts = { ...parts, isolation, routes: withVulnerable(parts.routes) };
  for (const name of without) changed = layerOf(name).parts?.(changed, world) ?? changed;
  if (without.has('queries only'))
    changed = { ...changed, accounts: carelessAccounts(parts, world) };
  return withNamesKept(changed);
}

/** Accounts that do not check their statements. */
function carelessAccounts({ accounts }: Parts, world: Alteration['world']): Parts['accounts'] {
  return {
    run: (caller, work) =>
      accounts.run(caller, ({ change }) => {
        const { connections, fleet } = world.app().services;
        const db = anyStatements(connections, fleet.installation.account, caller.tenant.id);
        return work(Object.assign(db, { change }));
      }),
  };
}

function carelessnessOf({ without, victim }: LabServerOptions): Carelessness {
  return {
    everybodyIn: () => (without.has('own placement') ? victim() : null),
    lasting: without.has('local context'),
    openPath: without.has('own search_path'),
    anyStatement: without.has('queries only'),
    stacked: without.has('extended protocol'),
    kept: without.has('connection'),
  };
}

const ofIsolation: readonly LayerName[] = [
  'own placement',
  'local context',
  'own search_path',
  'queries only',
  'extended protocol',
  'connection',
];

/** The real adapters, except those that were taken off. */
function isolationWithout(options: LabServerOptions, app: () => App) {
  const careless = carelessnessOf(options);
  const real = !ofIsolation.some((name) => options.without.has(name));
  let made: ReturnType<typeof carelessIsolation> | undefined;
  const make = () => {
    const { connections, fleet } = app().services;
    made ??= carelessIsolation(connections, fleet.modes, careless);
    return made;
  };
  const isolation: Isolation = {
    run: (tenant, work) =>
      real ? app().services.isolation.run(tenant, work) : make().run(tenant, work),
  };
  return { ...isolation, close: async () => made?.close() };
}

function openHttp(app: App, { without, config, adminToken }: LabServerOptions) {
  const finished: FinishedRequest[] = [];
  const parts: DispatchParts = {
    app,
    ready: async () => true,
    metrics: () => metricsOf(finished),
    adminToken,
    metricsToken: null,
    deadline: { limitMs: limits.answerMs, nowMs: () => performance.now() },
  };
  const handle = (request: HttpRequest, record: RequestRecord) =>
    rememberingNames(async () => {
      const believed = without.has('operator token') ? asOperator(request, adminToken) : request;
      const reply = dispatch(parts, believed, record);
      return without.has('one 404') ? reply.catch((error) => tellApart(app, error)) : reply;
    });
  if (without.has('strict HTTP')) return new LooseServer(handle, uuidv7);
  return new HttpServer({
    handle,
    observe: (one) => finished.push(one),
    onInternalError: () => {},
    onUnavailable: () => {},
    newId: uuidv7,
    nowMs: () => performance.now(),
    trustedProxies: without.has('trusted proxies')
      ? trustedProxies(['127.0.0.0/8'])
      : config.trustedProxies,
    limits: limits.http,
  });
}

/** Created when it is needed: its observers of the process cannot be stopped. */
async function metricsOf(finished: readonly FinishedRequest[]) {
  const metrics = new Prometheus({ ...limits.metrics, nowMs: Date.now });
  for (const one of finished) metrics.observe(one);
  return metrics.render();
}

/** Accepts any bearer. */
function asOperator(request: HttpRequest, adminToken: string): HttpRequest {
  const operators = /^\/(api\/admin|metrics)(\/|$)/.test(request.path);
  return operators ? { ...request, authorization: `Bearer ${adminToken}` } : request;
}

/** A 403 for a tenant that exists: well meant, and over many requests it reveals all tenants. */
async function tellApart(app: App, error: unknown): Promise<Reply> {
  if (!(error instanceof Refusal) || error.code !== 'not_found') throw error;
  const rows = await app.services.control`
    select from control.tenants where slug = ${rememberedName()}`;
  throw rows.length > 0 ? new Refusal('forbidden', { detail: 'Not yours' }) : error;
}

function notOpen(): never {
  throw new Error('Cannot use the lab: it is not open yet');
}
