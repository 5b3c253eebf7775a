/**
 * The composition root. With `services.ts`, which has what the shell commands need too, it is the
 * place that names the adapters: it wires the kernel to Postgres, Redis and mail, puts the operator's
 * routes beside it, and closes all of it in order.
 */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { postgresAccounts } from './adapters/account/postgres_accounts.ts';
import { DenialLog } from './adapters/audit/denial_log.ts';
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
import { queryAudit } from './control_plane/audit/query.ts';
import { oneLine } from './control_plane/doctor/finding.ts';
import { assertIsolation } from './control_plane/doctor/start.ts';
import { KeyRefresher } from './control_plane/keys/key_refresher.ts';
import { sealsAnnouncement } from './control_plane/keys/rotate_seals.ts';
import { assertLoginsAdmitted } from './control_plane/provisioning/usable_server.ts';
import type { HttpRequest } from './http/request.ts';
import type { Router } from './http/router.ts';
import { isolationModes } from './isolation/modes.ts';
import { Kernel, type KernelParts } from './kernel/kernel.ts';
import type { Db, Routes } from './kernel/ports.ts';
import type { Slug } from './kernel/tenant.ts';
import { limits } from './limits.ts';
import type { Outbox } from './mail/outbox.ts';
import type { Log } from './observability/log.ts';
import { ThrottledLog } from './observability/throttled_log.ts';
import { type OpenLimiter, openLimiter } from './open_limiter.ts';
import { openOutbox } from './open_outbox.ts';
import { NotificationListener } from './postgres/notification_listener.ts';
import type { Operator } from './routes/admin/operator.ts';
import type { Plans } from './routes/admin/plans.ts';
import type { TenantLifeCycle } from './routes/admin/tenants.ts';
import { operatorRouter, tenantRouter } from './routes/routers.ts';
import { Admission } from './server/admission_control.ts';
import { Maintenance } from './server/maintenance.ts';
import { openServices, type Services } from './services.ts';

/** Everything behind the HTTP server, as dispatch and the metrics use it. */
export type App = {
  services: Services;
  kernel: Kernel<HttpRequest>;
  tenantRoutes: Routes<HttpRequest>;
  operatorRoutes: Router<Operator>;
  corsOrigins: ReadonlySet<string>;
  admission: Admission;
  denials: DenialLog;
  throttle: LoginThrottle;
  directory: CachedDirectory;
  listener: NotificationListener;
  limiter: OpenLimiter;
  outbox: Outbox;
  maintenance: Maintenance;
  /** Writes out what was gathered, then lets go of everything. */
  close(): Promise<void>;
};

export type AppOptions = {
  config: Config;
  adminUrl: string;
  log: Log;
  /** A tenant is gone: what is still known of it by name can go too. */
  onForget: (slug: Slug) => void;
  /** What a lab makes of the kernel's parts, to see what holds without one of them. */
  alter?: (parts: KernelParts<HttpRequest>) => KernelParts<HttpRequest>;
};

/** Opens it all, ready to serve. */
export async function openApp({
  config,
  adminUrl,
  log,
  onForget,
  alter = (parts) => parts,
}: AppOptions): Promise<App> {
  const services = await openExamined(config, adminUrl, log);
  const { control } = services;
  const quiet = new ThrottledLog(log, { ...limits.quiet, nowMs: Date.now });
  const { directory, seals, listener } = hearChanges(services, quiet);
  const { denials, usage } = openRecorders(control, quiet);
  const limiter = await openLimiter(config, services, log);
  const outbox = openOutbox(config, services, log);
  const throttle = new LoginThrottle(limits.guesses, { nowMs: Date.now });
  const parts: KernelParts<HttpRequest> = {
    resolvers: strategiesOf(config),
    directory,
    limiter: limiter.limiter,
    routes: tenantRouter({ denials, usage, mintKey: mintApiKey }, limits.http),
    ...tenantsOwn(services, directory),
    denials,
    throttle,
    meter: usage,
    newId: uuidv7,
    newSecret: () => randomBytes(32),
  };
  const operatorRoutes = operatorRouter(
    {
      tenants: lifeCycle(services, { directory, outbox, onForget }),
      defaults: {
        isolation: config.isolation,
        isolationModes,
        sendsMail: config.smtpUrl !== null,
      },
      plans: plansOf(services, directory),
      readTrail: (filter) => queryAudit(control, filter),
      denials,
    },
    limits.http,
  );
  const maintenance = await beginMaintenance(services, log, parts);
  outbox.kick();
  return {
    services,
    kernel: new Kernel<HttpRequest>(alter(parts)),
    tenantRoutes: parts.routes,
    operatorRoutes,
    corsOrigins: config.corsOrigins,
    admission: new Admission(limits.admission),
    denials,
    throttle,
    directory,
    listener,
    limiter,
    outbox,
    maintenance,
    close: async () => {
      maintenance.close();
      seals.close();
      listener.close();
      await Promise.all([denials.close(), usage.close(), outbox.flush(limits.outbox.flushMs)]);
      await outbox.close();
      await Promise.all([maintenance.checkpoint(), maintenance.withdraw()]);
      limiter.close();
      services.close();
    },
  };
}

/** What is gathered in memory and written in batches. */
function openRecorders(control: Db, log: ThrottledLog) {
  const denials = new DenialLog({
    ...limits.denials,
    write: postgresDenials(control, uuidv7),
    onError: (error) => log.warn('denials could not be written, will retry', error),
    nowMs: Date.now,
  });
  const usage = new UsageMeter(control, {
    ...limits.usage,
    onError: (error) => log.warn('usage could not be written, will retry', error),
    nowMs: Date.now,
  });
  return { denials, usage };
}

async function beginMaintenance(
  services: Services,
  log: Log,
  { schemaVersions: versions }: Pick<KernelParts<HttpRequest>, 'schemaVersions'>,
): Promise<Maintenance> {
  const appVersion = await readAppVersion();
  const { goneAfterMs } = limits.processes;
  return Maintenance.begin(services, log, { id: uuidv7(), appVersion, versions, goneAfterMs });
}

/** What the kernel opens of one tenant. */
function tenantsOwn({ connections, isolation, fleet }: Services, directory: CachedDirectory) {
  const { installation, sql } = fleet;
  const newId = uuidv7;
  return {
    isolation,
    accounts: postgresAccounts(connections, installation, {
      newId,
      onChange: (id) => directory.forget(id),
    }),
    idempotency: postgresIdempotency(connections, installation, { ...limits.idempotency, newId }),
    // Handlers read and write a column of the second one.
    schemaVersions: { oldest: 2, newest: sql.tenant.length },
  };
}

/** Nobody is served by a database that the doctor calls unsafe. */
async function openExamined(config: Config, adminUrl: string, log: Log): Promise<Services> {
  const services = await openServices(config, adminUrl, {
    onStay: ({ pid, login }, tenant) =>
      log.warn(
        'a backend cannot be terminated; it keeps a connection of its tenant until it ends',
        { pid, login, tenant_id: tenant },
      ),
  });
  try {
    await assertLoginsAdmitted(services.fleet.installation, services.pools);
    await assertIsolation(services, {
      ...limits.doctor,
      warn: ({ check, where, what, fix, database, more }) =>
        log.warn(what, {
          check,
          where,
          database,
          ...(more > 0 && { more_databases: more }),
          fix: fix && oneLine(fix),
        }),
    });
    return services;
  } catch (error) {
    services.close();
    throw error;
  }
}

/** What this process knows, and how it learns that it is out of date. */
function hearChanges({ lookups, fleet, refreshSeals }: Services, quiet: ThrottledLog) {
  const seals = new KeyRefresher(refreshSeals, {
    everyMs: limits.seals.refreshMs,
    onError: (error) => quiet.warn('seals could not be looked at', error),
  });
  const directory = new CachedDirectory(postgresDirectory(lookups), limits.directory);
  const listener = new NotificationListener(fleet.installation.controlTarget, 'kennel', {
    ...limits.listener,
    onMessage: (announcement) => {
      if (announcement === sealsAnnouncement) seals.look();
      else directory.onChange(announcement);
    },
    onGap: () => {
      directory.forgetAll();
      seals.look();
    },
  });
  return { directory, seals, listener };
}

function strategiesOf({ resolution, baseDomain }: Config) {
  const all = { subdomain: bySubdomain(baseDomain), path: byPath, header: byHeader };
  return resolution.map((name) => all[name]);
}

type Aftermath = { directory: CachedDirectory; outbox: Outbox; onForget: (slug: Slug) => void };

/** The fleet's work, with what must follow it in this very process. */
function lifeCycle(
  { onboarding, registry }: Services,
  { directory, outbox, onForget }: Aftermath,
): TenantLifeCycle {
  return {
    create: async (order, commission) => {
      const founded = await onboarding.create(order, commission);
      outbox.kick();
      return founded;
    },
    remove: async (slug, requestId) => {
      const removed = await onboarding.remove(slug, requestId);
      directory.forgetAll();
      onForget(slug);
      return removed;
    },
    list: (page) => registry.list(page),
    find: (slug) => registry.find(slug),
    patch: async (slug, patch, requestId, assertChangeable) => {
      const tenant = await registry.patch(slug, patch, requestId, assertChangeable);
      directory.forgetAll();
      return tenant;
    },
  };
}

function plansOf({ registry }: Services, directory: CachedDirectory): Plans {
  return {
    plans: () => registry.plans(),
    plan: (name) => registry.plan(name),
    putPlan: async (plan, requestId, assertChangeable) => {
      const created = await registry.putPlan(plan, requestId, assertChangeable);
      directory.forgetAll();
      return created;
    },
  };
}
