/**
 * A connection: one connection that carries tenants' statements, each in an envelope of its own, for as
 * long as it lives. It is never used again after a close, an unexpected tag, a call that took too long, or
 * an error that speaks of a wrong context.
 */
import { IsolationViolation, Refusal, unavailable } from '../kernel/errors.ts';
import type { Sql, SqlValue } from '../kernel/ports.ts';
import { openSession, type Session, type SessionLimits } from './connect.ts';
import { beginning, type Envelope, groups, single } from './envelope.ts';
import { asRefusal, endsBackend, poisonsConnection } from './errors.ts';
import type { TransactionStatus } from './protocol/backend_messages.ts';
import { query } from './protocol/messages.ts';
import { type GroupResult, Pipeline, type SyncGroup } from './protocol/pipeline.ts';
import type { Call } from './protocol/prepared_statements.ts';
import type { JsonLimits } from './protocol/rows.ts';
import type { Target } from './session_url.ts';
import type { Backend } from './unterminated_backends.ts';

export type { Target } from './session_url.ts';

export type ConnectionLimits = SessionLimits & {
  /** The longest that a call may take, answered or not. */
  callTimeoutMs: number;
  /** Statements that the server keeps prepared. */
  statements: number;
  /** The most bytes of an answer. */
  answerBytes: number;
  /** What a value of JSON may be. */
  json: JsonLimits;
};

/** Tags of statements that leave nothing behind but rows. */
const queries = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE']);

/** What `plain` is prepared for: its statements name their schemas. */
const noSchema = '';

export class Connection {
  readonly pid: number;
  readonly target: Target;
  readonly #wire: Pipeline;
  readonly #callTimeoutMs: number;
  readonly #transactions = new Set<(reason: unknown) => void>();
  #onClose: () => void = () => {};
  #startedAt = '';
  #unanswered = 0;
  #backendEnds = false;
  /** Null while the connection lives. */
  #ended: { reason: unknown } | null = null;

  private constructor({ pid, socket }: Session, target: Target, limits: ConnectionLimits) {
    const { callTimeoutMs, statements, answerBytes, json } = limits;
    this.pid = pid;
    this.target = target;
    this.#callTimeoutMs = callTimeoutMs;
    const wireLimits = { statements, answerBytes, json, silenceMs: callTimeoutMs };
    this.#wire = new Pipeline(socket, wireLimits, {
      onEnd: (reason) => {
        this.#backendEnds = endsBackend(reason);
        this.#end(asLoss(asRefusal(reason)));
      },
      onSilence: () => this.#endOverdue(),
    });
  }

  /** @throws {Refusal} `unavailable` when no session could be had in time. */
  static async open(target: Target, limits: ConnectionLimits): Promise<Connection> {
    const connection = new Connection(await openSession(target, limits), target, limits);
    try {
      await Promise.all([connection.#run(groups.preparation), connection.#readStart()]);
      return connection;
    } catch (error) {
      // Nobody else would ever close it.
      throw connection.#abandon(error);
    }
  }

  get live(): boolean {
    return this.#ended === null;
  }

  /** What answers it, as the server knows it. */
  get backend(): Backend {
    const login = decodeURIComponent(new URL(this.target).username);
    return { pid: this.pid, login, startedAt: this.#startedAt };
  }

  /**
   * Whether the server has said that the backend ends. Without a word it may go on after its connection.
   */
  get backendEnds(): boolean {
    return this.#backendEnds;
  }

  /** How many of the calls that were sent had no answer, when the connection ended or so far. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Calls `listener` once, when the connection can take no more work. */
  onClose(listener: () => void): void {
    this.#onClose = listener;
    if (!this.live) listener();
  }

  /** One statement that is its own transaction, without any tenant's context. */
  plain<Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]> {
    return this.#rows<Row>({ schema: noSchema, text, values });
  }

  /**
   * Several statements without parameters; a transaction that they leave open is rolled back when
   * one of them fails. Only for constants and names from our own registry.
   */
  async script(text: string): Promise<void> {
    try {
      await this.#run(query(text), 'I');
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /**
   * Statements that others wrote, in one transaction that ours begin and commit. Each is sent alone and
   * must be a single one, and must leave the transaction open: else the connection ends, and all is rolled back.
   *
   * @param opening a script of ours that begins the transaction.
   * @param closing a script of ours that ends with `commit`.
   */
  async scripts(opening: string, statements: readonly string[], closing: string): Promise<void> {
    try {
      await this.#run(query(opening), 'T');
      for (const statement of statements) await this.#run(single(statement), 'T');
      await this.#run(query(closing), 'I');
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /**
   * One statement in an envelope: its context, the statement, and what undoes all that the statement
   * may have set, in one group. So the server itself passes over the statement when its context could
   * not be set, and commits all of it, or nothing.
   *
   * @returns the rows, once the server has said that the group is over: then it is committed.
   */
  statement<Row extends object>(
    { schema, context }: Envelope,
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    const call = { schema, text, values };
    const runsBefore = context ? 1 : 0;
    const group = { before: context, runsBefore, call, after: groups.end };
    return this.#ask(group, (answer) => {
      const { error, runs } = answer;
      const rows = runs > runsBefore ? this.#rowsIn<Row>(answer) : [];
      // Before or behind the statement nothing of ours can fail: something is wrong with the session.
      if (error) throw runs === runsBefore ? this.#fault(error) : this.#abandon(error);
      return rows;
    });
  }

  /** Sends now what waits for the end of the turn: nobody else will join it. */
  flush(): void {
    this.#wire.flush();
  }

  /**
   * Several statements in one transaction, which has the connection to itself until it ends. Each is sent
   * when the one before it was found to be a query: of three that were injected at once, the first could
   * put off the role, the second change the login's password, and the third commit that.
   *
   * @param opening an envelope; or a script that begins the transaction, for work of our own.
   */
  async transaction<Result>(
    opening: Envelope | string,
    work: (sql: Sql) => Promise<Result>,
  ): Promise<Result> {
    const schema = typeof opening === 'string' ? noSchema : opening.schema;
    let open = true;
    let latest: Promise<unknown> = Promise.resolve();
    const sql: Sql = async <Row extends object>(
      text: TemplateStringsArray,
      ...values: SqlValue[]
    ): Promise<Row[]> => {
      const ask = () => {
        if (!open) throw new Error('Cannot run a statement: its transaction has ended');
        return this.#rows<Row>({ schema, text, values });
      };
      const rows = latest.then(ask);
      latest = rows.catch(() => {});
      return rows;
    };
    const transact = async (): Promise<Result> => {
      await this.#run(typeof opening === 'string' ? query(opening) : beginning(opening), 'T');
      const result = await work(sql);
      await latest;
      open = false;
      await this.#commit();
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
    this.#end(unavailable('The server is shutting down'), () => this.#wire.end());
  }

  async #readStart(): Promise<void> {
    const [row] = await this.plain<{ startedAt: string }>`
      select backend_start::text as "startedAt" from pg_stat_get_activity(pg_backend_pid())`;
    this.#startedAt = row?.startedAt ?? '';
  }

  async #commit(): Promise<void> {
    const tag = await this.#run(groups.commit, 'I');
    if (tag !== 'COMMIT') throw this.#abandon(new Error(`Cannot commit: the server said ${tag}`));
  }

  async #rollBack(): Promise<void> {
    if (!this.live) return;
    await this.#run(groups.rollback, 'I').catch((error) => this.#abandon(error));
  }

  /** Messages of ours. @returns the tag of the first thing that they do. */
  #run(messages: Buffer, leaves?: TransactionStatus): Promise<string | null> {
    return this.#ask({ after: messages, leaves }, ({ error, tag }) => {
      if (error) throw this.#fault(error);
      return tag;
    });
  }

  /** One statement in a group of its own. */
  #rows<Row extends object>(call: Call): Promise<Row[]> {
    return this.#ask({ call, after: groups.statement }, (answer) => {
      if (answer.error) throw this.#fault(answer.error);
      return this.#rowsIn<Row>(answer);
    });
  }

  /**
   * Sends a group. `judge` looks at its answer before anything behind it is read: nobody is answered who
   * travelled behind what has ended the connection.
   */
  #ask<Result>(group: SyncGroup, judge: (answer: GroupResult) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw asLoss(this.#ended.reason);
      this.#wire.send(group, (answer) => {
        try {
          if (!answer) throw asLoss(this.#ended?.reason);
          this.#unanswered -= 1;
          const result = judge(answer);
          if (answer.fault) throw this.#abandon(asLoss(answer.fault));
          resolve(result);
        } catch (error) {
          reject(error);
        }
      });
      this.#unanswered += 1;
    });
  }

  /**
   * Our statements are queries. Another one was injected, and what it leaves in the session (a swapped
   * prepared statement, an ended transaction, a role) must not meet the next tenant.
   */
  #rowsIn<Row extends object>({ tag, rows }: GroupResult): Row[] {
    if (queries.has(tag ?? '')) return rows as Row[];
    const fault = new Error(`the server said ${tag}, which is no query`);
    throw this.#abandon(new IsolationViolation(fault));
  }

  /** Settles at the latest when the connection ends or the call's time is over. */
  async #bounded<Result>(call: () => Promise<Result>): Promise<Result> {
    let giveUp: (reason: unknown) => void = () => {};
    const ended = new Promise<never>((_resolve, reject) => {
      giveUp = reject;
    });
    this.#transactions.add(giveUp);
    const timer = setTimeout(() => this.#endOverdue(), this.#callTimeoutMs);
    try {
      return await Promise.race([call(), ended]);
    } finally {
      clearTimeout(timer);
      this.#transactions.delete(giveUp);
    }
  }

  /** An error of a statement; some of them also say that this session cannot be trusted. */
  #fault(error: unknown): unknown {
    return poisonsConnection(error) ? this.#abandon(error) : asRefusal(error);
  }

  /** Ends the connection. A transaction fails as its statement did. */
  #abandon(error: unknown): unknown {
    const reason = asRefusal(error);
    this.#end(reason);
    return reason;
  }

  #endOverdue(): void {
    this.#end(unavailable('The database did not answer in time'));
  }

  #end(reason: unknown, leave = () => this.#wire.destroy()): void {
    if (this.#ended) return;
    this.#ended = { reason };
    for (const reject of this.#transactions) reject(reason);
    this.#transactions.clear();
    leave();
    this.#onClose();
  }
}

/** What ended a connection, to those behind it: neither their fault nor their business is what it was. */
function asLoss(reason: unknown): Refusal {
  if (reason instanceof Refusal) return reason;
  return unavailable('The database connection was lost', reason);
}
