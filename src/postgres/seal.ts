/**
 * A tenant's context, sealed with a MAC so that an injected `set_config` gives no access to another tenant.
 * `kernel.tenant()` computes the same MAC, or compares a digest.
 */
import { createHash, createHmac } from 'node:crypto';
import type { TenantId } from '../kernel/tenant.ts';

/** The tenant of a context, and the generation of its placement: each move makes a new one. */
export type ContextOf = { tenant: TenantId; generation: number };

/** The generation of contexts that pass each fence: those of the control schema, and of a move itself. */
export const neverFenced = -1;

/**
 * Returns the context at the start of each session of a tenant's own database. The pid is not known then,
 * and not needed: any session of that database that could read the context belongs to the same tenant.
 */
export function dedicatedContext(key: Buffer, { tenant, generation }: ContextOf): string {
  return `${tenant}.${generation}.${mac(key, `${tenant}:${generation}`)}`;
}

/** Returns the SHA-256 of such a context in hexadecimal. The database keeps it in the place of the context. */
export function contextDigest(context: string): string {
  return createHash('sha256').update(context).digest('hex');
}

/**
 * Returns a tenant's context on one backend. The MAC covers the pid, so that a context that was read in
 * `pg_stat_activity` is invalid on any other backend.
 */
export function sealedContext(key: Buffer, { tenant, generation }: ContextOf, pid: number): string {
  return `${tenant}.${generation}.${mac(key, `${tenant}:${generation}:${pid}`)}`;
}

/** Returns the inner and outer pad of RFC 2104 for a key of at most 64 bytes. */
export function pads(key: Buffer): { inner: Buffer; outer: Buffer } {
  const block = Buffer.alloc(64);
  key.copy(block);
  return {
    inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
    outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
  };
}

/** Returns the HMAC-SHA-256 (RFC 2104) in lower-case hexadecimal. */
function mac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
