/**
 * The control plane behind the operator's routes. After a change, this process empties its cache and
 * sends new emails at once; other processes follow the announcement of the change.
 */
import type { Config } from './config.ts';
import { queryAudit } from './control_plane/audit/query.ts';
import type { MoveStep } from './control_plane/moves/move_job.ts';
import { listServers } from './control_plane/servers/server_list.ts';
import { isolationModes } from './isolation/modes.ts';
import type { Slug } from './kernel/tenant.ts';
import type { Outbox } from './mail/outbox.ts';
import type { Log } from './observability/log.ts';
import type { FlushDenials } from './routes/admin/audit.ts';
import type { FindExplanation } from './routes/admin/explain.ts';
import type { TenantMoves } from './routes/admin/moves.ts';
import type { Plans } from './routes/admin/plans.ts';
import type { TenantLifeCycle } from './routes/admin/tenants.ts';
import type { OperatorParts } from './routes/routers.ts';
import type { Services } from './services.ts';

type OperatorDependencies = {
  directory: { forgetAll(): void };
  outbox: Pick<Outbox, 'kick'>;
  log: Pick<Log, 'warn'>;
  denials: FlushDenials;
  findExplanation: FindExplanation;
  /** Called after a tenant's deletion: data kept under its slug can be dropped. */
  onForget: (slug: Slug) => void;
};

/** Returns the parts that the operator's routes use, each of them joined to the control plane. */
export function operatorParts(
  { isolation, smtpUrl }: Config,
  services: Services,
  dependencies: OperatorDependencies,
): OperatorParts {
  return {
    tenants: tenantLifeCycle(services, dependencies),
    moves: tenantMoves(services, dependencies),
    defaults: { isolation, isolationModes, sendsMail: smtpUrl !== null },
    plans: planAdmin(services, dependencies),
    servers: () => listServers(services.fleet),
    readTrail: (filter) => queryAudit(services.control, filter),
    denials: dependencies.denials,
    findExplanation: dependencies.findExplanation,
  };
}

function tenantLifeCycle(
  { onboarding, registry, exports }: Services,
  { directory, outbox, onForget }: OperatorDependencies,
): TenantLifeCycle {
  return {
    create: async (newTenant, meta) => {
      const result = await onboarding.create(newTenant, meta);
      outbox.kick();
      return result;
    },
    remove: async (slug, requestId) => {
      const receipt = await onboarding.remove(slug, requestId);
      directory.forgetAll();
      onForget(slug);
      return receipt;
    },
    exportOf: async (slug) => {
      const tenant = await exports.find(slug);
      if (!tenant) return null;
      return (requestId) => exports.byOperator(tenant, requestId);
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

function tenantMoves(
  { moves }: Services,
  { directory, log }: Pick<OperatorDependencies, 'directory' | 'log'>,
): TenantMoves {
  return {
    find: (slug) => moves.find(slug),
    begin: async (slug, destination, requestId) => {
      const onStep = (step: MoveStep) => {
        if (step === 'switched') directory.forgetAll();
      };
      const request = { slug, ...destination, requestId };
      const { move, finished } = await moves.begin(request, { onStep });
      finished.catch((error) => log.warn('a move failed', { tenant: slug, error }));
      return move;
    },
  };
}

function planAdmin(
  { registry }: Services,
  { directory }: Pick<OperatorDependencies, 'directory'>,
): Plans {
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
