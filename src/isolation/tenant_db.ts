/**
 * A tenant's `db`: each statement is sent in an envelope of that tenant. A handler's `db` cannot reach any
 * other tenant, and throws once the request has ended.
 */
import { IsolationViolation } from '../kernel/errors.ts';
import type { Db, Isolation, Sql, SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Connection } from '../postgres/connection.ts';
import type { ConnectionPool } from '../postgres/connection_pool.ts';
import { type Envelope, type Envelopes, readOnly } from '../postgres/envelope.ts';
import { asViolation } from '../postgres/errors.ts';
import type { Placement } from '../postgres/placement.ts';
import type { IsolationModes } from './modes.ts';

export type Connections = { pool: ConnectionPool; envelopes: Envelopes };

/** Returns the kernel's port to tenants' tables; the tenant's mode says where they are. */
export function tenantIsolation(
  connections: Connections,
  modes: Pick<IsolationModes, 'placementOf'>,
): Isolation {
  return {
    run: (tenant, work) => openTenantDb(connections, modes.placementOf(tenant), tenant.id, work),
  };
}

/** Opens one tenant's tables in a placement while `work` runs. */
export async function openTenantDb<Result>(
  connections: Connections,
  placement: Placement,
  tenant: TenantId,
  work: (db: Db) => Promise<Result>,
): Promise<Result> {
  const access = new TenantAccess(connections, placement, tenant);
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
  { pool, envelopes }: Connections,
  placement: Placement,
  tenant: TenantId,
  text: TemplateStringsArray,
): Promise<Row[]> {
  return pool.exclusive(placement.target, tenant, (connection) =>
    connection.transaction(readOnly(envelopes.of(connection, placement, tenant)), (sql) =>
      queriesOnly(sql)<Row>(text),
    ),
  );
}

/** An assignment, because it is faster than `Object.assign`, and this runs for each request. */
function dbOf(access: TenantAccess, db: Sql & Partial<Db>): Db {
  db.transaction = (steps) => access.transaction(steps);
  return db as Db;
}

class TenantAccess {
  readonly #connections: Connections;
  readonly #placement: Placement;
  readonly #tenant: TenantId;
  #open = true;

  constructor(connections: Connections, placement: Placement, tenant: TenantId) {
    this.#connections = connections;
    this.#placement = placement;
    this.#tenant = tenant;
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
    this.#assertOpen();
    const { pool } = this.#connections;
    const { target } = this.#placement;
    const use = connectionUse(text);
    try {
      return await pool[use](target, this.#tenant, (connection) =>
        connection.statement<Row>(this.#envelope(connection), text, values),
      );
    } catch (error) {
      throw asViolation(error);
    }
  }

  async transaction<Value>(steps: (sql: Sql) => Promise<Value>): Promise<Value> {
    this.#assertOpen();
    try {
      return await this.#connections.pool.exclusive(
        this.#placement.target,
        this.#tenant,
        (connection) =>
          connection.transaction(this.#envelope(connection), (sql) => steps(queriesOnly(sql))),
      );
    } catch (error) {
      throw asViolation(error);
    }
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

/** Returns `sql` restricted to queries, as in `openTenantDb`. */
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
