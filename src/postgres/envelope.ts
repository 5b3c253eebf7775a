/**
 * The envelope of a tenant's statement. The context before it sets the role, the schema and the tenant; the
 * reset behind it undoes all settings. In a tenant's own database the session has the context from its
 * start, so its envelopes contain the reset alone.
 */
import { LRUCache } from 'lru-cache';
import type { SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import { isDedicated, type Placement } from './placement.ts';
import { bind, execute, parse, sync } from './protocol/messages.ts';
import { sealedContext } from './seal.ts';
import type { SessionUrl } from './session_url.ts';

/**
 * The schema that a tenant's statements are prepared for, and the messages that set its context; null if
 * the session has the context from its start.
 */
export type Envelope = {
  schema: string;
  context: Buffer | null;
  /** How a transaction of several statements begins. Default: `begin`. */
  begin?: 'begin' | 'beginReadOnly';
};

/** The messages before a statement in its group. */
type Preceding = { before: Buffer; statementsBefore: number };

/** The envelope of our own statements, which need no context. */
export const noContext: Envelope = { schema: '', context: null };

/** The parts of a connection that an envelope depends on: a seal is bound to the pid. */
type SessionIdentity = { readonly pid: number; readonly url: SessionUrl };

type CacheEntry = { placement: Placement; envelope: Envelope };

/** Makes envelopes and caches those of each connection's latest tenants. */
export class Envelopes {
  #cache = new WeakMap<SessionIdentity, LRUCache<TenantId, CacheEntry[]>>();
  readonly #tenantsPerConnection: number;

  constructor(tenantsPerConnection: number) {
    this.#tenantsPerConnection = tenantsPerConnection;
  }

  /**
   * Returns a tenant's envelope. A tenant has two placements, its own and its account; while seals are
   * rotated it may have more.
   */
  of(connection: SessionIdentity, placement: Placement, tenant: TenantId): Envelope {
    if (isDedicated(placement) && tenant === placement.tenant)
      return ofSession(connection, placement);
    const cached = this.#cachedFor(connection, tenant);
    for (const entry of cached) if (entry.placement === placement) return entry.envelope;
    const made = envelope(placement, tenant, connection.pid);
    // One placement for each schema: an older one has the seal key that a rotation has replaced.
    const others = cached.filter((entry) => entry.placement.schema !== placement.schema);
    cached.splice(0, cached.length, ...others, { placement, envelope: made });
    return made;
  }

  /** Empties the cache, after the key of the seals was replaced. */
  forgetAll(): void {
    this.#cache = new WeakMap();
  }

  #cachedFor(connection: SessionIdentity, tenant: TenantId): CacheEntry[] {
    let tenants = this.#cache.get(connection);
    if (!tenants) {
      tenants = new LRUCache({ max: this.#tenantsPerConnection });
      this.#cache.set(connection, tenants);
    }
    const cached = tenants.get(tenant);
    if (cached) return cached;
    const empty: CacheEntry[] = [];
    tenants.set(tenant, empty);
    return empty;
  }
}

/** Only the session determines the tenant here, so a connection with another session URL is refused. */
function ofSession(connection: SessionIdentity, { url, schema }: Placement): Envelope {
  if (connection.url !== url)
    throw new Error("Cannot use a connection: it is not of the tenant's placement");
  return { schema, context: null };
}

/** Returns the envelope of a tenant in a placement, for the backend with a pid. */
export function envelope(placement: Placement, tenant: TenantId, pid: number): Envelope {
  const { schema, role, generation, sealKey } = placement;
  const sealed = sealedContext(sealKey, { tenant, generation }, pid);
  return { schema, context: run('context', [role, `"${schema}"`, sealed]) };
}

/**
 * Returns an envelope whose transactions can only read. Postgres lets no statement of such a transaction
 * make it writable.
 */
export function readOnly(envelope: Envelope): Envelope {
  return { ...envelope, begin: 'beginReadOnly' };
}

/**
 * Returns the messages that begin a transaction of several statements in an envelope, before its first
 * statement: if the transaction cannot begin, or has no context, the server skips the statement.
 */
export function beginning({ context, begin = 'begin' }: Envelope): Preceding {
  return {
    before: Buffer.concat([run(begin), ...(context ? [context] : [])]),
    statementsBefore: context ? 2 : 1,
  };
}

/**
 * The context is local to the transaction, so a connection cannot carry it to the next tenant. `reset all`
 * undoes settings that an injected statement has made for the session. The keys are their prepared
 * names.
 */
export const constantStatements = {
  context: `select pg_catalog.set_config('role', $1, true),
    pg_catalog.set_config('search_path', $2, true),
    pg_catalog.set_config('kennel.tenant', $3, true)`,
  begin: 'begin isolation level read committed read write not deferrable',
  beginReadOnly: 'begin isolation level read committed read only not deferrable',
  commit: 'commit',
  rollback: 'rollback',
  reset: 'reset all',
};

/** The constant parts of all groups. */
export const groups = {
  /** Sent once, at the start of each session. */
  preparation: Buffer.concat([
    ...Object.entries(constantStatements).map(([name, text]) => parse(name, text)),
    sync,
  ]),
  /** After a statement without an envelope, or in an open transaction. */
  statement: Buffer.concat([execute, sync]),
  /** After a statement in an envelope of its own. */
  end: Buffer.concat([execute, run('reset'), sync]),
  commit: Buffer.concat([run('commit'), run('reset'), sync]),
  rollback: Buffer.concat([run('rollback'), run('reset'), sync]),
};

/**
 * Returns the messages of statements that run one behind the other, up to the first that fails. The server
 * refuses a Parse with more than one.
 */
export function singles(statements: readonly string[]): Buffer {
  const each = statements.flatMap((text) => [parse('', text), bind('', []), execute]);
  return Buffer.concat([...each, sync]);
}

function run(name: keyof typeof constantStatements, values: SqlValue[] = []): Buffer {
  return Buffer.concat([bind(name, values), execute]);
}
