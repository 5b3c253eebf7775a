/**
 * Plain postgres.js connections in place of Kennel's own, as most servers have them: one connection
 * per session URL, which all tenants share in turn as long as it lives.
 */

import postgres from 'postgres';
import type { Db, Sql, SqlValue } from '../../src/kernel/ports.ts';
import type { TenantId } from '../../src/kernel/tenant.ts';
import { poisonsConnection } from '../../src/postgres/errors.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import type { SessionUrl } from '../../src/postgres/session_url.ts';
import { openingScript } from '../support/envelopes.ts';
import { type Carelessness, makeCareless } from './careless_isolation.ts';

type Connection = { client: postgres.Sql; sql: postgres.ReservedSql; pid: number };

const statementTimeoutMs = 2_000;

export class PlainConnections {
  readonly #careless: Carelessness;
  readonly #open = new Map<SessionUrl, Promise<Connection>>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(careless: Carelessness) {
    this.#careless = careless;
  }

  run<Result>(
    placement: Placement,
    tenant: TenantId,
    work: (db: Db) => Promise<Result>,
  ): Promise<Result> {
    const transaction = <Value>(steps: (sql: Sql) => Promise<Value>) =>
      this.#inTurn(() => this.#transact(placement, tenant, steps));
    const statement = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
      transaction((sql) => sql<Row>(text, ...values));
    return work(Object.assign(statement, { transaction }));
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    for (const one of opened) {
      if (one.status === 'fulfilled') await one.value.client.end({ timeout: 0 });
    }
  }

  async #transact<Value>(
    placement: Placement,
    tenant: TenantId,
    steps: (sql: Sql) => Promise<Value>,
  ): Promise<Value> {
    const { sql, pid } = await this.#connection(placement.url);
    try {
      await sql.unsafe(makeCareless(openingScript(placement, tenant, pid), this.#careless));
      const value = await steps((text, ...values) => this.#send(sql, text, values));
      await sql.unsafe('commit');
      return value;
    } catch (error) {
      await sql.unsafe('rollback');
      if (!this.#careless.kept && poisonsConnection(error)) await this.#discard(placement.url);
      throw error;
    }
  }

  /** Without parameters, the simple protocol accepts several statements and answers all of them. */
  async #send<Row extends object>(
    sql: postgres.ReservedSql,
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    if (!this.#careless.stacked || values.length > 0) return sql<Row[]>(text, ...values);
    const results = await sql.unsafe<Row[]>(text.join(''));
    return results.flatMap((result) => (Array.isArray(result) ? [...result] : [result]));
  }

  #connection(url: SessionUrl): Promise<Connection> {
    const known = this.#open.get(url);
    if (known) return known;
    const opened = connect(url);
    this.#open.set(url, opened);
    return opened;
  }

  async #discard(url: SessionUrl): Promise<void> {
    const { client } = await this.#connection(url);
    this.#open.delete(url);
    await client.end({ timeout: 0 });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

async function connect(url: SessionUrl): Promise<Connection> {
  const client = postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connect_timeout: 3,
    connection: { statement_timeout: statementTimeoutMs },
  });
  const [row] = await client<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return { client, sql: await client.reserve(), pid: row?.pid ?? 0 };
}
