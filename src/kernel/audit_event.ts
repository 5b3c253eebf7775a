/**
 * The events of the audit trail. A change is recorded in the transaction that makes it. A denial
 * changes nothing, so denials are collected and written in batches.
 */
import type { TenantId } from './tenant.ts';

export type ChangeName =
  | 'tenant_created'
  | 'tenant_renamed'
  | 'tenant_suspended'
  | 'tenant_resumed'
  | 'tenant_moved'
  | 'tenant_exported'
  | 'tenant_restored'
  | 'tenant_deleted'
  | 'plan_changed'
  | 'config_changed'
  | 'user_created'
  | 'key_created'
  | 'key_revoked';

export type DenialName =
  | 'cross_tenant_access_attempt'
  | 'suspended_tenant_access_attempt'
  | 'isolation_violation'
  | 'authentication_failed'
  | 'credential_guessing'
  | 'rate_limit_exceeded';

/** A flat record, so that a row reads the same in SQL, in JSON and in a log line. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null>>;

/** The originator of an event; `kennel` is the server itself. */
export type Actor = `user:${string}` | 'operator' | 'anonymous' | 'kennel';

export type Denial = {
  event: DenialName;
  actor: Actor;
  /** The actor's tenant; null when it is unknown. */
  tenantId: TenantId | null;
  /**
   * The slug that the request named. It is looked up when the batch is written, not while the request
   * waits: the time of the reply must not show whether the slug exists.
   */
  requestedSlug: string | null;
  requestId: string;
  details: AuditDetails;
};

/** An event as stored. `seq` is the order in which events were written. */
export type RecordedEvent = {
  seq: number;
  id: string;
  time: string;
  event: string;
  actor: string;
  tenant: string | null;
  request_id: string | null;
  details: AuditDetails;
};
