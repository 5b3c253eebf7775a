/** The tenant as an archive, for its admins. */
import { download } from '../http/reply.ts';
import { route } from '../http/route.ts';
import type { Tenant } from '../kernel/tenant.ts';

export type Exports = {
  /** @throws {Refusal} `rate_limited` a short time after the last export. */
  assertAllowed(tenant: Tenant): Promise<void>;
  stream(
    tenant: Tenant,
    by: { actor: `user:${string}`; requestId: string },
  ): AsyncGenerator<Uint8Array>;
};

/** The file of an archive, as clients save it. */
export function archiveFile(slug: string) {
  return { name: `${slug}.kennel.gz`, type: 'application/gzip' };
}

export function exportRoutes(exports: Exports) {
  return [
    route('GET', '/api/export', { role: 'admin' }, async ({ tenant, caller }) => {
      await exports.assertAllowed(tenant);
      const actor = `user:${caller.user.id}` as const;
      return download(archiveFile(tenant.slug), (requestId) =>
        exports.stream(tenant, { actor, requestId }),
      );
    }),
  ];
}
