/**
 * A tenant's `db`: each statement is sent in an envelope of that tenant. A handler's `db` cannot reach any
 * other tenant, and throws once the request has ended.
 */
import { IsolationViolation } from '../kernel/errors.ts';
import type { Db, Isolation, Sql, SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Trace } from '../kernel/trace.ts';
import type { Connection } from '../postgres/connection.ts';
import type { ConnectionPool } from '../postgres/connection_pool.ts';
import { type Envelope, type Envelopes, readOnly } from '../postgres/envelope.ts';
import { asViolation } from '../postgres/errors.ts';
import { isDedicated, type Placement } from '../postgres/placement.ts';
import type { IsolationModes } from './modes.ts';
import { type Follow, type Relocation, stayingPut } from './relocation.ts';

/** The connections that serve tenants, and the envelopes that their statements are sent in. */
export type Connections = { pool: ConnectionPool; envelopes: Envelopes };

/**
 * Returns the kernel's port to tenants' tables; the tenant's mode says where they are.
 *
 * @param relocation Without it no tenant is followed to another placement.
 */
export function tenantIsolation(
  connections: Connections,
  modes: Pick<IsolationModes, 'placementOf'>,
  relocation: Relocation | null = null,
): Isolation {
  return {
    run: (tenant, work, trace) => {
      const placement = modes.placementOf(tenant);
      const follow = relocation?.follow(modes, tenant) ?? stayingPut;
      if (trace) notePlacement(trace, placement);
      const parts = { placement, tenant: tenant.id, follow, trace };
      return openAccess(new TenantAccess(connections, parts), work);
    },
  };
}

/** Opens one tenant's tables in a placement while `work` runs. */
export function openTenantDb<Result>(
  connections: Connections,
  placement: Placement,
  tenant: TenantId,
  work: (db: Db) => Promise<Result>,
  trace?: Trace,
): Promise<Result> {
  const parts = { placement, tenant, follow: stayingPut, trace };
  return openAccess(new TenantAccess(connections, parts), work);
}

function notePlacement(trace: Trace, { database, schema, login, role, context }: Placement): void {
  const arrival = context === 'session' ? 'at the start of a session' : 'with each statement';
  trace.note({ database, schema, login, role, context: arrival });
}

async function openAccess<Result>(
  access: TenantAccess,
  work: (db: Db) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(dbOf(access, (text, ...values) => access.statement(text, values)));
  } finally {
    access.close();
  }
}

/**
 * Runs one statement of an operator with a tenant's rights and context, in a transaction that can only
 * read. Postgres refuses a text with several statements.
 */
export function readAsTenant<Row extends object>(
  connections: Connections,
  { id, ...where }: { id: TenantId; placement: Placement; follow?: Follow },
  text: TemplateStringsArray,
): Promise<Row[]> {
  const parts = { follow: stayingPut, ...where, tenant: id, trace: undefined };
  return new TenantAccess(connections, parts).read(text);
}

/** An assignment, because it is faster than `Object.assign`, and this runs for each request. */
function dbOf(access: TenantAccess, db: Sql & Partial<Db>): Db {
  db.transaction = (steps) => access.transaction(steps);
  return db as Db;
}

type AccessParts = {
  placement: Placement;
  tenant: TenantId;
  follow: Follow;
  trace: Trace | undefined;
};

class TenantAccess {
  readonly #connections: Connections;
  readonly #tenant: TenantId;
  readonly #follow: Follow;
  readonly #trace: Trace | undefined;
  #placement: Placement;
  #open = true;

  constructor(connections: Connections, { placement, tenant, follow, trace }: AccessParts) {
    this.#connections = connections;
    this.#placement = placement;
    this.#tenant = tenant;
    this.#follow = follow;
    this.#trace = trace;
  }

  close(): void {
    this.#open = false;
  }

  /**
   * Reads share a connection. A write has a connection of its own: it waits for the disk, and other
   * statements must not wait behind it.
   */
  async statement<Row extends object>(
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    const { pool } = this.#connections;
    const use = connectionUse(text);
    const call = this.#trace?.call();
    if (call?.plan) await call.plan(() => this.#plan(text, values));
    return this.#send(() =>
      pool[use](this.#placement.url, this.#tenant, (connection) =>
        connection.statement<Row>(this.#envelope(connection), text, values, call),
      ),
    );
  }

  /** After a move all `steps` run again, from the first: none of them has been committed. */
  async transaction<Value>(steps: (sql: Sql) => Promise<Value>): Promise<Value> {
    const { pool } = this.#connections;
    const call = this.#trace?.call();
    return this.#send(() =>
      pool.exclusive(this.#placement.url, this.#tenant, (connection) =>
        connection.transaction(this.#envelope(connection), (sql) => steps(queriesOnly(sql)), call),
      ),
    );
  }

  /** In a transaction that can only read. */
  read<Row extends object>(text: TemplateStringsArray): Promise<Row[]> {
    return this.#send(() =>
      this.#connections.pool.exclusive(this.#placement.url, this.#tenant, (connection) =>
        connection.transaction(readOnly(this.#envelope(connection)), (sql) =>
          queriesOnly(sql)<Row>(text),
        ),
      ),
    );
  }

  #plan(text: TemplateStringsArray, values: SqlValue[]): Promise<string[]> {
    return this.#connections.pool.exclusive(this.#placement.url, this.#tenant, (connection) =>
      connection.plan(this.#envelope(connection), text, values),
    );
  }

  /** Sends a statement, once more if it was refused because the tenant has moved. */
  async #send<Result>(send: () => Promise<Result>): Promise<Result> {
    for (;;) {
      this.#assertOpen();
      try {
        return await send();
      } catch (error) {
        const placement = await this.#follow(error);
        if (!placement) throw asViolation(error);
        this.#moveTo(placement);
      }
    }
  }

  /** Sessions that began with the context of the former placement are of no further use. */
  #moveTo(placement: Placement): void {
    const former = this.#placement;
    this.#placement = placement;
    if (placement === former || !isDedicated(former)) return;
    this.#connections.pool.closeIdle(former.url);
  }

  #envelope(connection: Connection): Envelope {
    return this.#connections.envelopes.of(connection, this.#placement, this.#tenant);
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error("Cannot use a tenant's db: its request has ended");
  }
}

const query = /^\s*(select|insert|update|delete|merge|with|values)\b/i;
const select = /^\s*select\b/i;

/** Returns `sql`, which then refuses every statement that is not a query. */
export function queriesOnly(sql: Sql): Sql {
  return async (text, ...values) => {
    connectionUse(text);
    return sql(text, ...values);
  };
}

/** Whether a statement may share its connection with other statements. */
type ConnectionUse = 'shared' | 'exclusive';

/** Statements are constants of the code, so each is examined once. */
const knownUses = new WeakMap<TemplateStringsArray, ConnectionUse>();

/**
 * A `select` may share its connection. Any other query has the connection to itself until its command tag
 * has arrived. So a statement that replaces a prepared statement is never sent together with one that uses
 * it. This does not prevent writes: a `select` may write, too.
 *
 * @throws {IsolationViolation} when the statement is not a query. `create rule`, for one, locks its table
 *   before Postgres checks the right to do so, and all other statements would wait behind that lock.
 */
function connectionUse(text: TemplateStringsArray): ConnectionUse {
  const known = knownUses.get(text);
  if (known) return known;
  const [first = ''] = text;
  if (!query.test(first)) {
    throw new IsolationViolation(new Error('Cannot send a statement: it is not a query'));
  }
  const use = select.test(first) ? 'shared' : 'exclusive';
  knownUses.set(text, use);
  return use;
}
