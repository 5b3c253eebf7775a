/**
 * A tenant's context, sealed with a MAC so that an injected `set_config` opens no other tenant's rows.
 * `kernel.tenant()` computes the same, or knows its digest.
 */
import { createHash, createHmac } from 'node:crypto';
import type { TenantId } from '../kernel/tenant.ts';

/**
 * What each session of a tenant's own database begins with. No pid is known by then, and none is
 * needed: a reader in another session of that database is the same tenant.
 */
export function dedicatedContext(key: Buffer, tenant: TenantId): string {
  return `${tenant}.${mac(key, tenant)}`;
}

/** What such a database knows of it: SHA-256 in hexadecimal, which tells nothing of the context. */
export function contextDigest(context: string): string {
  return createHash('sha256').update(context).digest('hex');
}

/** Over the backend's pid too, so that a seal read in `pg_stat_activity` is worthless on any other. */
export function seal(key: Buffer, tenant: TenantId, pid: number): string {
  return mac(key, `${tenant}:${pid}`);
}

/** The two pads of RFC 2104 for a key of at most 64 bytes. */
export function pads(key: Buffer): { inner: Buffer; outer: Buffer } {
  const block = Buffer.alloc(64);
  key.copy(block);
  return {
    inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
    outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
  };
}

/** HMAC-SHA-256 (RFC 2104) in lower-case hexadecimal. */
function mac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
