/**
 * What surrounds a tenant's statement: before it the context, which says as whom and for which tenant
 * it runs, and behind it what undoes all settings. In a database of the tenant's own each session begins
 * with its context, and so does each statement.
 */
import { LRUCache } from 'lru-cache';
import type { SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import { isDedicated, type Placement } from './placement.ts';
import { bind, execute, parse, sync } from './protocol/messages.ts';
import { seal } from './seal.ts';
import type { Target } from './session_url.ts';

/**
 * The messages that set a tenant's context, and the schema that its statements are prepared for. Null
 * where the session has that context by itself.
 */
export type Envelope = { schema: string; context: Buffer | null };

/** Seals are bound to its backend; and what a session begins with, to its target. */
type Backend = { readonly pid: number; readonly target: Target };

type Kept = { placement: Placement; envelope: Envelope };

/** Makes envelopes and keeps those of each connection's latest tenants. */
export class Envelopes {
  #kept = new WeakMap<Backend, LRUCache<TenantId, Kept[]>>();
  readonly #tenantsPerConnection: number;

  constructor(tenantsPerConnection: number) {
    this.#tenantsPerConnection = tenantsPerConnection;
  }

  /** A tenant has two places, its own and its account; while seals change, it may have more. */
  of(connection: Backend, placement: Placement, tenant: TenantId): Envelope {
    if (isDedicated(placement) && tenant === placement.tenant)
      return ofSession(connection, placement);
    const known = this.#keptFor(connection, tenant);
    for (const kept of known) if (kept.placement === placement) return kept.envelope;
    const made = envelope(placement, tenant, connection.pid);
    // A request that began before the seals' key was replaced keeps what it has, for itself alone.
    const others = known.filter((kept) => kept.placement.schema !== placement.schema);
    known.splice(0, known.length, ...others, { placement, envelope: made });
    return made;
  }

  /** After the seals' key was replaced. */
  forgetAll(): void {
    this.#kept = new WeakMap();
  }

  #keptFor(connection: Backend, tenant: TenantId): Kept[] {
    let tenants = this.#kept.get(connection);
    if (!tenants) {
      tenants = new LRUCache({ max: this.#tenantsPerConnection });
      this.#kept.set(connection, tenants);
    }
    const known = tenants.get(tenant);
    if (known) return known;
    const none: Kept[] = [];
    tenants.set(tenant, none);
    return none;
  }
}

/** Nothing but the session tells the server whose the statement is, so it has to be the right one. */
function ofSession(connection: Backend, { target, schema }: Placement): Envelope {
  if (connection.target !== target)
    throw new Error("Cannot use a connection: it is not of the tenant's placement");
  return { schema, context: null };
}

/** The envelope of one tenant in a placement, on the connection whose backend has the pid. */
export function envelope(placement: Placement, tenant: TenantId, pid: number): Envelope {
  const { schema, role } = placement;
  const context = [role, `"${schema}"`, `${tenant}.${seal(placement.sealKey, tenant, pid)}`];
  return { schema, context: run('context', context) };
}

/** Opens a transaction of several statements in an envelope. */
export function beginning({ context }: Envelope): Buffer {
  return Buffer.concat([run('begin'), ...(context ? [context] : []), sync]);
}

/**
 * All of it local to the transaction, so a connection cannot carry it to the next tenant. And `reset all`
 * comes before its end, because an injected statement may have set something for the session.
 */
const constants = {
  context: `select pg_catalog.set_config('role', $1, true),
    pg_catalog.set_config('search_path', $2, true),
    pg_catalog.set_config('kennel.tenant', $3, true)`,
  begin: 'begin isolation level read committed read write not deferrable',
  commit: 'commit',
  rollback: 'rollback',
  reset: 'reset all',
};

/** What is sent of each group that is not a tenant's own. */
export const groups = {
  /** Each session begins with it. */
  preparation: Buffer.concat([
    ...Object.entries(constants).map(([name, text]) => parse(name, text)),
    sync,
  ]),
  /** Behind a statement that stands alone, or in an open transaction. */
  statement: Buffer.concat([execute, sync]),
  /** Behind a statement in an envelope of its own. */
  end: Buffer.concat([execute, run('reset'), sync]),
  commit: Buffer.concat([run('commit'), run('reset'), sync]),
  rollback: Buffer.concat([run('rollback'), run('reset'), sync]),
};

/** One statement, whatever it is: the server takes no second one in a Parse. */
export function single(statement: string): Buffer {
  return Buffer.concat([parse('', statement), bind('', []), execute, sync]);
}

function run(name: keyof typeof constants, values: SqlValue[] = []): Buffer {
  return Buffer.concat([bind(name, values), execute]);
}
