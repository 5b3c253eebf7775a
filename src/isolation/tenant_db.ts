/**
 * A tenant's `db`: tagged statements that each travel in an envelope of that tenant. What a handler
 * holds cannot reach any other tenant, and is dead once its request has ended.
 */
import { IsolationViolation } from '../kernel/errors.ts';
import type { Db, Isolation, Sql, SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Connection } from '../postgres/connection.ts';
import type { ConnectionPool } from '../postgres/connection_pool.ts';
import type { Envelope, Envelopes } from '../postgres/envelope.ts';
import { asViolation } from '../postgres/errors.ts';
import type { Placement } from '../postgres/placement.ts';
import type { IsolationModes } from './modes.ts';

export type Connections = { pool: ConnectionPool; envelopes: Envelopes };

/** The kernel's way to a tenant's tables, wherever its mode has placed them. */
export function tenantIsolation(
  connections: Connections,
  modes: Pick<IsolationModes, 'placementOf'>,
): Isolation {
  return {
    run: (tenant, work) => openTenantDb(connections, modes.placementOf(tenant), tenant.id, work),
  };
}

/** Opens one tenant's tables in a placement for the time of `work`. */
export async function openTenantDb<Result>(
  connections: Connections,
  placement: Placement,
  tenant: TenantId,
  work: (db: Db) => Promise<Result>,
): Promise<Result> {
  const access = new Access(connections, placement, tenant);
  try {
    return await work(dbOf(access, (text, ...values) => access.statement(text, values)));
  } finally {
    access.close();
  }
}

/** By an assignment: `Object.assign` goes through the runtime, and this runs for each request. */
function dbOf(access: Access, db: Sql & Partial<Db>): Db {
  db.transaction = (steps) => access.transaction(steps);
  return db as Db;
}

class Access {
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
   * Reads share a connection. What writes has one to itself: it waits for the disk, and nobody behind it.
   */
  async statement<Row extends object>(
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    this.#assertOpen();
    const { pool } = this.#connections;
    const { target } = this.#placement;
    const travel = travelOf(text);
    try {
      return await pool[travel](target, this.#tenant, (connection) =>
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

/** What sends queries alone, as `openPlace` does. */
export function queriesOnly(sql: Sql): Sql {
  return async (text, ...values) => {
    travelOf(text);
    return sql(text, ...values);
  };
}

/** Statements are constants of the code: each is looked at once. */
const travels = new WeakMap<TemplateStringsArray, 'shared' | 'exclusive'>();

/**
 * What a read may do does not hang on how it begins. But what swaps a prepared statement must not be sent
 * together with what uses it: only a query may begin so, and whatever else travels alone until its tag
 * was seen.
 *
 * @throws {IsolationViolation} for what is no query. Postgres asks whether one may make a rule on a table
 *   only when it has locked it, and until then all others wait behind that lock.
 */
function travelOf(text: TemplateStringsArray): 'shared' | 'exclusive' {
  const known = travels.get(text);
  if (known) return known;
  const [first = ''] = text;
  if (!query.test(first)) {
    throw new IsolationViolation(new Error('Cannot send a statement: it is no query'));
  }
  const travel = select.test(first) ? 'shared' : 'exclusive';
  travels.set(text, travel);
  return travel;
}
