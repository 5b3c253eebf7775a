/** The kernel's parts as careless servers have them, each without one guard. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { App } from '../../src/app.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import type { KernelParts } from '../../src/kernel/kernel.ts';
import type { Match, Mismatch } from '../../src/kernel/ports.ts';
import type { Tenant, TenantId } from '../../src/kernel/tenant.ts';

export type Parts = KernelParts<HttpRequest>;

/** The objects that a careless part uses. */
export type LabWorld = {
  /** Known once it is open, which is before the first request. */
  app(): App;
};

/** The name in the request in progress, for a directory that trusts it. */
const request = new AsyncLocalStorage<{ slug: string | null }>();

/** Runs one request of a server that remembers which tenant the request named. */
export function rememberingNames<Result>(work: () => Promise<Result>): Promise<Result> {
  return request.run({ slug: null }, work);
}

/** The tenant named by the request in progress; null while it has named none. */
export function rememberedName(): string | null {
  return request.getStore()?.slug ?? null;
}

/** Records which tenant each request names first. */
export function withNamesKept(parts: Parts): Parts {
  const resolvers = parts.resolvers.map((resolver): typeof resolver => (facts) => {
    const claims = resolver(facts);
    const kept = request.getStore();
    if (kept) kept.slug ??= claims[0]?.slug ?? null;
    return claims;
  });
  return { ...parts, resolvers };
}

export const kernelWithout = {
  /** Takes the first name that it finds. */
  resolution: (parts: Parts): Parts => ({
    ...parts,
    resolvers: [(facts) => parts.resolvers.flatMap((resolver) => resolver(facts)).slice(0, 1)],
  }),

  /** Trusts that the caller is an admin of the tenant that it names. */
  key: (parts: Parts, world: LabWorld): Parts => ({
    ...parts,
    directory: {
      tenant: (id) => parts.directory.tenant(id),
      caller: async () => {
        const tenantId = await named(world);
        if (!tenantId) return null;
        const user = { id: randomUUID(), email: 'anybody@example.com', role: 'admin' as const };
        return { user, keyId: randomUUID(), tenantId };
      },
    },
  }),

  /** Serves the named tenant, whichever tenant the key belongs to. */
  authorization: (parts: Parts, world: LabWorld): Parts => ({
    ...parts,
    directory: {
      caller: (authorization) => parts.directory.caller(authorization),
      tenant: async (id) => parts.directory.tenant((await named(world)) ?? id),
    },
  }),

  tenantStatus: (parts: Parts): Parts => ({
    ...parts,
    directory: {
      caller: (authorization) => parts.directory.caller(authorization),
      tenant: async (id) => active(await parts.directory.tenant(id)),
    },
  }),

  role: (parts: Parts): Parts => ({
    ...parts,
    routes: (request, path) => forAllTenants(parts.routes(request, path)),
  }),
};

function forAllTenants(match: Match | Mismatch): Match | Mismatch {
  return 'parse' in match ? { ...match, role: null } : match;
}

function active(tenant: Tenant | null): Tenant | null {
  return tenant && { ...tenant, status: 'active' };
}

async function named(world: LabWorld): Promise<TenantId | null> {
  const [row] = await world.app().services.control<{ id: TenantId }>`
    select id from control.tenants where slug = ${rememberedName()}`;
  return row?.id ?? null;
}
