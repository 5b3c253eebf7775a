/** All routes: the tenant API, and the operator's beside it. */
import type { HttpRequest } from '../http/request.ts';
import { Router, type RouterLimits } from '../http/router.ts';
import type { Context, Routes } from '../kernel/ports.ts';
import { auditRoutes, type FlushDenials, type ReadTrail } from './admin/audit.ts';
import { explainRoutes, type FindExplanation } from './admin/explain.ts';
import { moveRoutes, type TenantMoves } from './admin/moves.ts';
import type { Operator } from './admin/operator.ts';
import { type Plans, planRoutes } from './admin/plans.ts';
import { type ListServers, serverRoutes } from './admin/servers.ts';
import { type TenantDefaults, type TenantLifeCycle, tenantRoutes } from './admin/tenants.ts';
import { configRoutes } from './config.ts';
import { type Exports, exportRoutes } from './export.ts';
import { meRoutes } from './me.ts';
import { petRoutes } from './pets.ts';
import {
  type GatheredDenials,
  type GatheredUsage,
  type HiddenPositions,
  trailRoutes,
} from './trail.ts';
import { type MintKey, userRoutes } from './users.ts';
import { visitRoutes } from './visits.ts';

type TenantParts = {
  denials: GatheredDenials;
  usage: GatheredUsage;
  positions: HiddenPositions;
  mintKey: MintKey;
  exports: Exports;
};

/** The tenant API. */
export function tenantRouter(parts: TenantParts, limits: RouterLimits): Routes<HttpRequest> {
  const router = new Router<Context>(
    [
      ...meRoutes,
      ...petRoutes,
      ...visitRoutes,
      ...configRoutes,
      ...userRoutes(parts.mintKey),
      ...trailRoutes(parts),
      ...exportRoutes(parts.exports),
    ],
    limits,
  );
  return (request, path) => router.match(request, path);
}

export type OperatorParts = {
  tenants: TenantLifeCycle;
  moves: TenantMoves;
  defaults: TenantDefaults;
  plans: Plans;
  servers: ListServers;
  readTrail: ReadTrail;
  denials: FlushDenials;
  findExplanation: FindExplanation;
};

/** The operator's API. */
export function operatorRouter(parts: OperatorParts, limits: RouterLimits): Router<Operator> {
  return new Router<Operator>(
    [
      ...tenantRoutes(parts.tenants, parts.defaults),
      ...moveRoutes(parts.moves, parts.defaults),
      ...planRoutes(parts.plans),
      ...serverRoutes(parts.servers),
      ...auditRoutes(parts.readTrail, parts.denials),
      ...explainRoutes(parts.findExplanation),
    ],
    limits,
  );
}
