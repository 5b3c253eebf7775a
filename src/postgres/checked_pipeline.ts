/**
 * A pipeline that checks each result before anything behind it is read. The first one that casts doubt on
 * the session ends the connection, so that no other tenant's statement runs in it, and no result behind
 * it is returned.
 */
import type { Socket } from 'node:net';
import { IsolationViolation, Refusal, unavailable } from '../kernel/errors.ts';
import type { CallTrace } from '../kernel/trace.ts';
import { groups } from './envelope.ts';
import { asRefusal, endsBackend, poisonsConnection } from './errors.ts';
import type { TransactionStatus } from './protocol/backend_messages.ts';
import type { GroupResult, SyncGroup } from './protocol/pending_group.ts';
import { Pipeline } from './protocol/pipeline.ts';
import type { BoundStatement } from './protocol/prepared_statements.ts';
import type { JsonLimits } from './protocol/rows.ts';

export type CallLimits = {
  /** The longest time for a transaction, and for the next result while one is due. */
  callTimeoutMs: number;
  /** The most statements that the server keeps prepared. */
  statements: number;
  /** The most bytes of a result. */
  answerBytes: number;
  /** Bounds of each JSON value. */
  json: JsonLimits;
};

/**
 * Tags of queries. Other statements may leave effects in the session that `reset all` does not undo. FETCH
 * reads a cursor, which only a script of ours can declare.
 */
const queries = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'FETCH']);

export class CheckedPipeline {
  readonly #pipeline: Pipeline;
  readonly #callTimeoutMs: number;
  /** Rejects each transaction that is running. */
  readonly #transactions = new Set<(reason: unknown) => void>();
  #onClose: () => void = () => {};
  #unanswered = 0;
  #backendEnds = false;
  /** Null while the connection is usable. */
  #ended: { reason: unknown } | null = null;

  constructor(socket: Socket, { callTimeoutMs, statements, answerBytes, json }: CallLimits) {
    this.#callTimeoutMs = callTimeoutMs;
    const pipelineLimits = { statements, answerBytes, json, silenceMs: callTimeoutMs };
    this.#pipeline = new Pipeline(socket, pipelineLimits, {
      onEnd: (reason) => {
        this.#backendEnds = endsBackend(reason);
        this.#end(asConnectionLost(asRefusal(reason)));
      },
      onSilence: () => this.#endOverdue(),
    });
  }

  get live(): boolean {
    return this.#ended === null;
  }

  /** True if the server has said that the backend ends. Otherwise it may outlive its connection. */
  get backendEnds(): boolean {
    return this.#backendEnds;
  }

  /** How many groups have no result, now or when the connection ended. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Calls `listener` once, when the connection ends. */
  onClose(listener: () => void): void {
    this.#onClose = listener;
    if (!this.live) listener();
  }

  /**
   * Sends a group and returns what `check` makes of its result.
   *
   * @param check called before the next result is read. To end the connection, it calls `abandon`.
   * @throws {Refusal} `unavailable` when the connection ended before the result.
   */
  request<Result>(group: SyncGroup, check: (result: GroupResult) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw asConnectionLost(this.#ended.reason);
      this.#pipeline.send(group, (result) => {
        group.trace?.answered(result);
        try {
          if (!result) throw asConnectionLost(this.#ended?.reason);
          this.#unanswered -= 1;
          const checked = check(result);
          const { protocolError } = result;
          if (protocolError) throw this.abandon(asConnectionLost(protocolError));
          resolve(checked);
        } catch (error) {
          reject(error);
        }
      });
      this.#unanswered += 1;
    });
  }

  /** Sends messages of our own. @returns the tag of the first statement in them. */
  run(
    messages: Buffer,
    statusAfter?: TransactionStatus,
    trace?: CallTrace,
  ): Promise<string | null> {
    return this.request({ after: messages, statusAfter, trace }, ({ error, tag }) => {
      if (error) throw this.failure(error);
      return tag;
    });
  }

  /** Sends one statement in a group of its own. */
  query<Row extends object>(statement: BoundStatement, trace?: CallTrace): Promise<Row[]> {
    return this.request({ statement, after: groups.statement, trace }, (result) => {
      if (result.error) throw this.failure(result.error);
      return this.rowsIn<Row>(result);
    });
  }

  /** Sends an EXPLAIN in a group of its own. @returns the lines of the plan. */
  plan(statement: BoundStatement): Promise<string[]> {
    return this.request({ statement, after: groups.statement }, ({ error, rows }) => {
      if (error) throw this.failure(error);
      return rows.map((row) => String(Object.values(row)[0]));
    });
  }

  /**
   * Returns the rows of a query. Our statements are queries alone. Any other statement was injected, and
   * its effects on the session (a swapped prepared statement, an ended transaction, a role) would reach
   * the next tenant.
   *
   * @throws {IsolationViolation} for any other statement; it ends the connection.
   */
  rowsIn<Row extends object>({ tag, rows }: GroupResult): Row[] {
    if (queries.has(tag ?? '')) return rows as Row[];
    const cause = new Error(`Cannot use a connection: "${tag}" is not the tag of a query`);
    throw this.abandon(new IsolationViolation(cause));
  }

  /** Runs a transaction. It is rejected when the connection ends, or when its time is over. */
  async withTimeout<Result>(transact: () => Promise<Result>): Promise<Result> {
    let onEnd: (reason: unknown) => void = () => {};
    const ended = new Promise<never>((_resolve, reject) => {
      onEnd = reject;
    });
    this.#transactions.add(onEnd);
    const timer = setTimeout(() => this.#endOverdue(), this.#callTimeoutMs);
    try {
      return await Promise.race([transact(), ended]);
    } finally {
      clearTimeout(timer);
      this.#transactions.delete(onEnd);
    }
  }

  /** Returns a statement's error as the caller sees it; ends the connection if the error casts doubt on it. */
  failure(error: unknown): unknown {
    return poisonsConnection(error) ? this.abandon(error) : asRefusal(error);
  }

  /** Ends the connection. @returns the error for the call that caused it. */
  abandon(error: unknown): unknown {
    const reason = asRefusal(error);
    this.#end(reason);
    return reason;
  }

  forgetStatements(): void {
    this.#pipeline.forgetStatements();
  }

  flush(): void {
    this.#pipeline.flush();
  }

  /** Ends the session; calls without a result are rejected. */
  close(): void {
    this.#end(unavailable('The server is shutting down'), () => this.#pipeline.end());
  }

  #endOverdue(): void {
    this.#end(unavailable('The database did not answer in time; try again later'));
  }

  #end(reason: unknown, disconnect = () => this.#pipeline.destroy()): void {
    if (this.#ended) return;
    this.#ended = { reason };
    for (const reject of this.#transactions) reject(reason);
    this.#transactions.clear();
    disconnect();
    this.#onClose();
  }
}

/** The error for calls behind the one that ended the connection: its own error may be another tenant's. */
function asConnectionLost(reason: unknown): Refusal {
  if (reason instanceof Refusal) return reason;
  return unavailable('The database connection was lost; try again later', reason);
}
