/** Envelopes that a test makes itself: with other contexts than Kennel's, and as a script. */

import type { TenantId } from '../../src/kernel/tenant.ts';
import type { Envelope } from '../../src/postgres/envelope.ts';
import { isDedicated, type Placement } from '../../src/postgres/placement.ts';
import { bind, execute, parse } from '../../src/postgres/protocol/messages.ts';
import { dedicatedContext, sealedContext } from '../../src/postgres/seal.ts';

/** The valid context of a tenant in its placement. */
export function contextOf(placement: Placement, tenant: TenantId, pid: number): string {
  const { sealKey } = placement;
  if (isDedicated(placement) && tenant === placement.tenant)
    return dedicatedContext(sealKey, placement);
  return sealedContext(sealKey, { tenant, generation: placement.generation }, pid);
}

/** With the test's own statement in place of the context. */
export function envelopeWith(statement: string): Envelope {
  return { schema: '', context: Buffer.concat([parse('', statement), bind('', []), execute]) };
}

/** With these settings as its context, local to its transaction or not. */
export function envelopeOf(settings: Readonly<Record<string, string>>, local = true): Envelope {
  const calls = Object.entries(settings).map(
    ([name, value]) => `pg_catalog.set_config('${name}', '${value}', ${local})`,
  );
  return envelopeWith(`select ${calls.join(', ')}`);
}

/**
 * The statements of Kennel's envelope, or of a session of the tenant itself, as a script that
 * begins a transaction.
 */
export function openingScript(placement: Placement, tenant: TenantId, pid: number): string {
  return [
    'begin isolation level read committed read write not deferrable',
    'reset all',
    `set local role "${placement.role}"`,
    `set local search_path = "${placement.schema}"`,
    `set local kennel.tenant = '${contextOf(placement, tenant, pid)}'`,
  ].join('; ');
}
