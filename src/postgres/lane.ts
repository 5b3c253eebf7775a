/**
 * A lane: one warmed connection, reserved for life. postgres.js loses the order of pipelined
 * statements when a connection drops and reconnects, and that leaks rows across tenants; so a lane
 * takes work only while its one connection lives, and is never used again after a close, an
 * unexpected commit tag, a call that took too long, or an error that speaks of a wrong context.
 */
import postgres from 'postgres';
import { unavailable } from '../kernel/errors.ts';
import type { Sql, SqlValue } from '../kernel/ports.ts';
import { applicationName } from './application_name.ts';
import { asRefusal, endsLane } from './faults.ts';

/** Where a lane leads: a URL with its database, login and password. */
export type Target = string;

/** Limits of one lane, in milliseconds. The server's own are set when the session starts. */
export type LaneBounds = {
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
  /** The longest that a call may take, answered or not. */
  callTimeoutMs: number;
};

export class Lane {
  readonly pid: number;
  readonly target: Target;
  readonly #client: postgres.Sql;
  readonly #session: postgres.ReservedSql;
  readonly #bounds: LaneBounds;
  readonly #waiting = new Set<(error: Error) => void>();
  #onClose: () => void = () => {};
  #live = true;

  private constructor(opened: Opened, target: Target, bounds: LaneBounds) {
    this.pid = opened.pid;
    this.target = target;
    this.#client = opened.client;
    this.#session = opened.session;
    this.#bounds = bounds;
    opened.onClose(() => this.#end(unavailable('The database connection was lost')));
  }

  /** @throws {Refusal} `unavailable` when no session could be had in time. */
  static async open(target: Target, bounds: LaneBounds): Promise<Lane> {
    return new Lane(await openSession(target, bounds), target, bounds);
  }

  get live(): boolean {
    return this.#live;
  }

  /** Calls `listener` once, when the lane can take no more work. */
  onClose(listener: () => void): void {
    this.#onClose = listener;
    if (!this.#live) listener();
  }

  /** One statement that is its own transaction, without any tenant's context. */
  async plain<Row extends object>(
    text: TemplateStringsArray,
    ...values: SqlValue[]
  ): Promise<Row[]> {
    assertValues(values);
    return this.#bounded(() => this.#send<Row>(text, values));
  }

  /**
   * Several statements without parameters; a transaction that they leave open is rolled back when
   * one of them fails. Only for constants and names from our own registry.
   */
  async script(text: string): Promise<void> {
    try {
      await this.#run(text);
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /**
   * One statement in an envelope: begin with the context, the statement, commit. All three are
   * written at once, so they cost one round trip, and the context ends with the transaction.
   *
   * @returns the rows, once the commit's tag has said COMMIT.
   */
  async statement<Row extends object>(
    envelope: string,
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    assertValues(values);
    const [opened, rows, closed] = await this.#bounded(() =>
      Promise.allSettled([
        this.#session.unsafe(envelope).execute(),
        this.#send<Row>(text, values),
        this.#session.unsafe('commit').execute(),
      ]),
    );
    if (opened.status === 'rejected') throw this.#abandon(opened.reason);
    if (rows.status === 'rejected') throw this.#fault(rows.reason);
    if (closed.status === 'rejected') throw this.#abandon(closed.reason);
    this.#expectCommit(closed.value.command);
    return rows.value;
  }

  /** Several statements in one transaction, which has the lane to itself until it ends. */
  async transaction<Result>(
    envelope: string,
    work: (sql: Sql) => Promise<Result>,
  ): Promise<Result> {
    let open = true;
    const sql: Sql = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) => {
      if (!open) throw new Error('Cannot run a statement: its transaction has ended');
      assertValues(values);
      return this.#bounded(() => this.#send<Row>(text, values));
    };
    const transact = async (): Promise<Result> => {
      await this.#run(envelope);
      const result = await work(sql);
      open = false;
      const commit = await this.#bounded(() => this.#session.unsafe('commit').execute());
      this.#expectCommit(commit.command);
      return result;
    };
    try {
      return await this.#bounded(transact);
    } catch (error) {
      open = false;
      await this.#rollBack();
      throw error;
    }
  }

  /** Ends the session; calls still in flight are rejected. */
  close(): void {
    this.#end(unavailable('The server is shutting down'));
  }

  async #rollBack(): Promise<void> {
    if (!this.#live) return;
    await this.#run('rollback').catch((error) => this.#abandon(error));
  }

  async #run(text: string): Promise<void> {
    await this.#bounded(() => this.#session.unsafe(text).execute());
  }

  #send<Row extends object>(text: TemplateStringsArray, values: SqlValue[]): Promise<Row[]> {
    return this.#session<Row[]>(text, ...values).execute();
  }

  /** Runs the call and settles at the latest when the lane ends or the call's time is over. */
  async #bounded<Result>(call: () => Promise<Result>): Promise<Result> {
    if (!this.#live) throw unavailable('The database connection was lost');
    let timer: NodeJS.Timeout | undefined;
    let giveUp: (error: Error) => void = () => {};
    const ended = new Promise<never>((_resolve, reject) => {
      giveUp = reject;
    });
    this.#waiting.add(giveUp);
    timer = setTimeout(() => {
      this.#end(unavailable('The database did not answer in time'));
    }, this.#bounds.callTimeoutMs);
    try {
      return await Promise.race([call(), ended]);
    } catch (error) {
      throw this.#fault(error);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(giveUp);
    }
  }

  #expectCommit(tag: string): void {
    if (tag !== 'COMMIT') throw this.#abandon(new Error(`Cannot commit: the server said ${tag}`));
  }

  /** An error of a statement; some of them also say that this session cannot be trusted. */
  #fault(error: unknown): unknown {
    return endsLane(error) ? this.#abandon(error) : asRefusal(error);
  }

  #abandon(error: unknown): unknown {
    this.#end(unavailable('The database connection was given up'));
    return asRefusal(error);
  }

  #end(reason: Error): void {
    if (!this.#live) return;
    this.#live = false;
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
    this.#client.end({ timeout: 0 }).catch(() => {});
    this.#onClose();
  }
}

/**
 * The driver meets a value it cannot write while it builds the message, and then rejects whatever
 * statement is running instead; so such a value must not get that far.
 */
function assertValues(values: readonly unknown[]): void {
  for (const value of values) {
    const fine =
      value === null ||
      value instanceof Uint8Array ||
      /^(string|number|boolean)$/.test(typeof value);
    if (!fine) throw new TypeError(`Cannot use a value of type ${typeof value} as a parameter`);
  }
}

type Opened = {
  pid: number;
  client: postgres.Sql;
  session: postgres.ReservedSql;
  onClose(listener: () => void): void;
};

/**
 * Warms before it reserves: `reserve()` on a client that has not connected yet may never return.
 * A server that closes during the start-up makes the driver try again for ever, hence the limit.
 */
async function openSession(target: Target, bounds: LaneBounds): Promise<Opened> {
  let onClose = () => {};
  const client = postgres(target, {
    ...driverSettings(bounds),
    onclose: () => onClose(),
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(unavailable('The database did not accept a connection in time'));
    }, bounds.connectTimeoutMs);
  });
  try {
    const warm = async () => {
      const [row] = await client<{ pid: number }[]>`select pg_backend_pid() as pid`;
      if (!row) throw new Error('Cannot open a lane: the server named no backend');
      return { pid: row.pid, session: await client.reserve() };
    };
    const { pid, session } = await Promise.race([warm(), late]);
    return { pid, client, session, onClose: (listener) => (onClose = listener) };
  } catch (error) {
    client.end({ timeout: 0 }).catch(() => {});
    throw asRefusal(error);
  } finally {
    clearTimeout(timer);
  }
}

function driverSettings(bounds: LaneBounds) {
  return {
    max: 1,
    max_lifetime: null,
    connect_timeout: bounds.connectTimeoutMs / 1_000,
    fetch_types: false,
    onnotice: () => {},
    types: plainTypes,
    connection: {
      application_name: applicationName(),
      statement_timeout: bounds.statementTimeoutMs,
      lock_timeout: bounds.lockTimeoutMs,
      idle_in_transaction_session_timeout: bounds.idleInTransactionTimeoutMs,
      TimeZone: 'UTC',
    },
  };
}

/** Dates stay text, instants become ISO 8601, and counts become numbers. */
const plainTypes = {
  date: { to: 1082, from: [1082], serialize: String, parse: (text: string) => text },
  instant: {
    to: 1184,
    from: [1114, 1184],
    serialize: String,
    parse: (text: string) => new Date(text).toISOString(),
  },
  bigint: { to: 20, from: [20], serialize: String, parse: Number },
};
