/**
 * The composition root: wires the kernel to Postgres, Redis and mail, adds the operator's routes, and
 * closes everything in order. `services.ts` opens the parts that shell commands need too.
 */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { postgresAccounts } from './adapters/account/postgres_accounts.ts';
import { DenialLog } from './adapters/audit/denial_log.ts';
import { hiddenPositions } from './adapters/audit/hidden_positions.ts';
import { postgresDenials } from './adapters/audit/postgres_denials.ts';
import { mintApiKey } from './adapters/directory/api_key.ts';
import { CachedDirectory } from './adapters/directory/cached_directory.ts';
import { postgresDirectory } from './adapters/directory/postgres_directory.ts';
import { postgresIdempotency } from './adapters/idempotency/postgres_idempotency.ts';
import { LoginThrottle } from './adapters/login_throttle/login_throttle.ts';
import { byHeader } from './adapters/resolution/by_header.ts';
import { byPath } from './adapters/resolution/by_path.ts';
import { bySubdomain } from './adapters/resolution/by_subdomain.ts';
import { UsageMeter } from './adapters/usage/usage_meter.ts';
import { readAppVersion } from './app_version.ts';
import type { Config } from './config.ts';
import { KeyRefresher } from './control_plane/keys/key_refresher.ts';
import { sealsAnnouncement } from './control_plane/keys/rotate_seals.ts';
import { isOfServer } from './control_plane/servers/server_urls.ts';
import { Explanations } from './explain/explanations.ts';
import type { HttpRequest } from './http/request.ts';
import type { Router } from './http/router.ts';
import { Relocation } from './isolation/relocation.ts';
import { tenantIsolation } from './isolation/tenant_db.ts';
import { Kernel, type KernelParts } from './kernel/kernel.ts';
import type { Db, Routes } from './kernel/ports.ts';
import type { Slug } from './kernel/tenant.ts';
import { limits } from './limits.ts';
import type { Outbox } from './mail/outbox.ts';
import type { Log } from './observability/log.ts';
import { ThrottledLog } from './observability/throttled_log.ts';
import { type OpenLimiter, openLimiter } from './open_limiter.ts';
import { openOutbox } from './open_outbox.ts';
import { openSafeServices } from './open_safe_services.ts';
import { operatorParts } from './operator_parts.ts';
import { NotificationListener } from './postgres/notification_listener.ts';
import type { Operator } from './routes/admin/operator.ts';
import type { Exports } from './routes/export.ts';
import { operatorRouter, tenantRouter } from './routes/routers.ts';
import { Admission } from './server/admission_control.ts';
import { Maintenance, type TenantLabels } from './server/maintenance.ts';
import type { Services } from './services.ts';

/** Everything behind the HTTP server, as dispatch and the metrics use it. */
export type App = {
  services: Services;
  kernel: Kernel<HttpRequest>;
  tenantRoutes: Routes<HttpRequest>;
  /** Takes a tenant's prefix off a path, where paths may name tenants. */
  routePath: (path: string) => string;
  operatorRoutes: Router<Operator>;
  corsOrigins: ReadonlySet<string>;
  admission: Admission;
  denials: DenialLog;
  throttle: LoginThrottle;
  directory: CachedDirectory;
  listener: NotificationListener;
  limiter: OpenLimiter;
  outbox: Outbox;
  explanations: Explanations;
  maintenance: Maintenance;
  /** Writes what the recorders have gathered, then closes everything. */
  close(): Promise<void>;
};

export type AppOptions = {
  config: Config;
  adminUrl: string;
  log: Log;
  /** The metric series of tenants, by slug. */
  labels: TenantLabels;
  /** Changes the kernel's parts, for the proofs that run without one of them. */
  alter?: Alter | undefined;
  /** Whether each statement of an explained request is run once more for its plan. Default: false. */
  plans?: boolean | undefined;
};

/** Returns the kernel's parts with changes. */
export type Alter = (
  parts: KernelParts<HttpRequest>,
  services: Services,
) => KernelParts<HttpRequest>;

/**
 * Opens everything that serves requests.
 *
 * @throws {Error} when the database cannot be used or does not isolate tenants.
 */
export async function openApp({
  config,
  adminUrl,
  log,
  labels,
  alter = (parts) => parts,
  plans = false,
}: AppOptions): Promise<App> {
  const services = await openSafeServices(config, adminUrl, log);
  const nowMs = () => performance.now();
  const throttledLog = new ThrottledLog(log, { ...limits.throttledLog, nowMs });
  const { directory, seals, listener } = openCaches(services, throttledLog);
  const { denials, usage } = openRecorders(services.control, throttledLog);
  const limiter = await openLimiter(config, services, log);
  const outbox = openOutbox(config, services, log);
  const throttle = new LoginThrottle(limits.loginThrottle, {
    nowMs: () => Math.floor(performance.now()),
  });
  const ports = { directory, limiter: limiter.limiter, throttle, denials, usage };
  const kernel = kernelParts(config, services, ports);
  const explanations = new Explanations({ limits: limits.explain, nowMs, plans });
  const findExplanation = (id: string) => explanations.find(id);
  const onForget = (slug: Slug) => labels.forget(slug);
  const dependencies = { directory, outbox, log, denials, onForget, findExplanation };
  const operator = operatorParts(config, services, dependencies);
  const maintenance = await startMaintenance(services, log, { ...kernel, labels });
  outbox.kick();
  const parts = { services, denials, throttle, directory, listener, limiter, outbox, maintenance };
  return {
    ...parts,
    explanations,
    kernel: new Kernel<HttpRequest>(alter(kernel, services)),
    tenantRoutes: kernel.routes,
    routePath: routePathOf(config),
    operatorRoutes: operatorRouter(operator, limits.http),
    corsOrigins: config.corsOrigins,
    admission: new Admission(limits.admission),
    close: () => closeParts({ ...parts, seals, usage }),
  };
}

type ClosingParts = Recorders &
  Pick<App, 'services' | 'listener' | 'limiter' | 'outbox' | 'maintenance'> & {
    seals: KeyRefresher;
  };

/** First stops the sources of new work, then writes what is gathered, then closes the connections. */
async function closeParts(parts: ClosingParts): Promise<void> {
  const { services, denials, usage, listener, limiter, outbox, maintenance, seals } = parts;
  maintenance.close();
  seals.close();
  listener.close();
  await Promise.all([denials.close(), usage.close(), outbox.flush(limits.outbox.flushMs)]);
  await outbox.close();
  await Promise.all([maintenance.checkpoint(), maintenance.withdraw()]);
  limiter.close();
  services.close();
}

type Recorders = { denials: DenialLog; usage: UsageMeter };

type KernelPorts = Recorders &
  Pick<KernelParts<HttpRequest>, 'limiter' | 'throttle'> & { directory: CachedDirectory };

function kernelParts(
  config: Config,
  services: Services,
  { directory, limiter, throttle, denials, usage }: KernelPorts,
): KernelParts<HttpRequest> {
  return {
    resolvers: resolversOf(config),
    directory,
    limiter,
    routes: tenantRouter(
      {
        ...{ denials, usage, mintKey: mintApiKey, exports: tenantExports(services) },
        positions: hiddenPositions(services.fleet.installation.cursorKey()),
      },
      limits.http,
    ),
    ...tenantPorts(services, directory),
    denials,
    throttle,
    meter: usage,
    newId: uuidv7,
    newSecret: () => randomBytes(32),
  };
}

function tenantExports({ exports }: Services): Exports {
  return {
    assertAllowed: (tenant) => exports.assertAllowed(tenant),
    stream: (tenant, by) => exports.byTenant({ ...tenant, plan: tenant.plan.name }, by),
  };
}

/** Recorders that gather in memory and write in batches. */
function openRecorders(control: Db, log: ThrottledLog): Recorders {
  const denials = new DenialLog({
    ...limits.denials,
    write: postgresDenials(control, uuidv7),
    onError: (error) => log.warn('denials could not be written, will retry', error),
    nowMs: () => performance.now(),
  });
  const usage = new UsageMeter(control, {
    ...limits.usage,
    onError: (error) => log.warn('usage could not be written, will retry', error),
    nowMs: Date.now,
  });
  return { denials, usage };
}

async function startMaintenance(
  services: Services,
  log: Log,
  {
    schemaVersions: versions,
    labels,
  }: Pick<KernelParts<HttpRequest>, 'schemaVersions'> & { labels: TenantLabels },
): Promise<Maintenance> {
  const appVersion = await readAppVersion();
  const { heartbeatTimeoutMs } = limits.processes;
  const heartbeat = { id: uuidv7(), appVersion, versions, heartbeatTimeoutMs };
  return Maintenance.start(services, { log, heartbeat, labels });
}

/** The ports through which the kernel works on one tenant's rows. */
function tenantPorts(
  { connections, fleet, moves, schemaVersions }: Services,
  directory: CachedDirectory,
) {
  const { installation, modes } = fleet;
  const newId = uuidv7;
  const relocation = new Relocation({
    ...limits.relocation,
    lookUp: (id) => directory.refresh(id),
    onStuck: (id) => moves.recoverOf(id),
    nowMs: () => performance.now(),
  });
  return {
    isolation: tenantIsolation(connections, modes, relocation),
    accounts: postgresAccounts(connections, installation, {
      newId,
      onChange: (id) => directory.forget(id),
    }),
    idempotency: postgresIdempotency(connections, installation, { ...limits.idempotency, newId }),
    schemaVersions,
  };
}

/** The caches of this process, and the listener that invalidates them. */
function openCaches({ lookups, fleet, refreshSeals }: Services, throttledLog: ThrottledLog) {
  const seals = new KeyRefresher(refreshSeals, {
    everyMs: limits.seals.refreshMs,
    onError: (error) => throttledLog.warn('seals could not be read, will retry', error),
  });
  const directory = new CachedDirectory(postgresDirectory(lookups), limits.directory);
  const listener = new NotificationListener(fleet.installation.controlUrl, 'kennel', {
    ...limits.listener,
    onMessage: (announcement) => {
      if (announcement === sealsAnnouncement || isOfServer(announcement)) seals.refresh();
      else directory.onChange(announcement);
    },
    onGap: () => {
      directory.forgetAll();
      seals.refresh();
    },
  });
  return { directory, seals, listener };
}

function routePathOf({ resolution }: Config): App['routePath'] {
  if (!resolution.includes('path')) return (path) => path;
  return (path) => byPath({ path, host: '', tenantHeaders: [] })[0]?.path ?? path;
}

function resolversOf({ resolution, baseDomain }: Config) {
  const all = { subdomain: bySubdomain(baseDomain), path: byPath, header: byHeader };
  return resolution.map((name) => all[name]);
}
