/** All routes: the tenant API, and the operator's beside it. */
import { bounds } from './config.ts';
import type { HttpRequest } from './http/request.ts';
import { Router } from './http/router.ts';
import type { Context, Routes } from './kernel/ports.ts';
import { auditRoutes, type FlushDenials, type ReadTrail } from './routes/admin/audit.ts';
import type { Operator } from './routes/admin/operator.ts';
import { type Plans, planRoutes } from './routes/admin/plans.ts';
import { type TenantDefaults, type TenantLifeCycle, tenantRoutes } from './routes/admin/tenants.ts';
import { configRoutes } from './routes/config.ts';
import { meRoutes } from './routes/me.ts';
import { petRoutes } from './routes/pets.ts';
import { type GatheredDenials, type GatheredUsage, trailRoutes } from './routes/trail.ts';
import { type MintKey, userRoutes } from './routes/users.ts';
import { visitRoutes } from './routes/visits.ts';

type TenantParts = { denials: GatheredDenials; usage: GatheredUsage; mintKey: MintKey };

/** What a tenant may ask for. */
export function tenantRouter(parts: TenantParts): Routes<HttpRequest> {
  const router = new Router<Context>(
    [
      ...meRoutes,
      ...petRoutes,
      ...visitRoutes,
      ...configRoutes,
      ...userRoutes(parts.mintKey),
      ...trailRoutes(parts),
    ],
    bounds.http,
  );
  return (request, path) => router.match(request, path);
}

type OperatorParts = {
  tenants: TenantLifeCycle;
  defaults: TenantDefaults;
  plans: Plans;
  readTrail: ReadTrail;
  denials: FlushDenials;
};

/** What the operator may ask for. */
export function operatorRouter(parts: OperatorParts): Router<Operator> {
  return new Router<Operator>(
    [
      ...tenantRoutes(parts.tenants, parts.defaults),
      ...planRoutes(parts.plans),
      ...auditRoutes(parts.readTrail, parts.denials),
    ],
    bounds.http,
  );
}
