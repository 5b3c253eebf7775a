/**
 * `kernel.tenant()` of a tenant's own database: a function that contains the tenant's id and the digests
 * of the valid contexts. It needs no keys, because no other tenant's context is valid there.
 */
import type { Connection } from '../../postgres/connection.ts';
import { type SealSecrets, sealKeyOf } from '../../postgres/installation.ts';
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import { contextDigest, dedicatedContext } from '../../postgres/seal.ts';

/** Makes the database accept the contexts derived from these secrets, and no others. */
export async function admitDedicatedTenant(
  connection: Connection,
  placement: DedicatedPlacement,
  { text, owner, seals }: { text: string; owner: string; seals: SealSecrets },
): Promise<void> {
  const secrets = seals.other ? [seals.current, seals.other] : [seals.current];
  const digests = secrets.map((secret) => digestFor(placement, secret));
  await connection.script(
    `begin;
     set local role "${owner}";
     set local search_path = kernel;
     set local client_min_messages = warning;
     ${withDedicatedTenant(text, placement, digests)}
     commit`,
  );
}

/** The digest of the context derived from a secret. */
export function digestFor(placement: DedicatedPlacement, secret: Buffer): string {
  return contextDigest(dedicatedContext(sealKeyOf(secret, placement.database), placement));
}

/** The text of `sql/kernel/dedicated_context.sql` for one database. */
export function withDedicatedTenant(
  text: string,
  { tenant, role, generation }: Pick<DedicatedPlacement, 'tenant' | 'role' | 'generation'>,
  digests: readonly string[],
): string {
  return text
    .replaceAll(':"app"', `"${role}"`)
    .replaceAll(":'tenant'", `'${tenant}'`)
    .replaceAll(":'generation'", `'${generation}'`)
    .replaceAll(':digests', listOf(digests));
}

/** SQL for the digests. `'\\x…'` would depend on the caller's `standard_conforming_strings`. */
export function listOf(digests: readonly string[]): string {
  return digests.map((digest) => `pg_catalog.decode('${digest}', 'hex')`).join(', ');
}
