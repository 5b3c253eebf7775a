/**
 * A connection: one session with Postgres that runs the statements of many tenants, each in an envelope of
 * its own. It is never used again after a close, an unexpected tag, a call that took too long, or an error
 * that points to a wrong context.
 */
import type { Sql, SqlValue } from '../kernel/ports.ts';
import type { CallTrace } from '../kernel/trace.ts';
import { type CallLimits, CheckedPipeline } from './checked_pipeline.ts';
import { openSession, type Session, type SessionLimits } from './connect.ts';
import { keywordsIn } from './connection_url.ts';
import { beginning, type Envelope, groups, singles } from './envelope.ts';
import { query, sync } from './protocol/messages.ts';
import type { SyncGroup } from './protocol/pending_group.ts';
import type { SessionUrl } from './session_url.ts';
import { StatementSequence } from './statement_sequence.ts';
import type { Backend } from './unterminated_backends.ts';

export type ConnectionLimits = SessionLimits & CallLimits;

/** The schema of `plain` statements, which name the schemas of their tables themselves. */
const noSchema = '';

export class Connection {
  readonly pid: number;
  readonly url: SessionUrl;
  /** By the clock of `performance.now`. */
  readonly openedAtMs = performance.now();
  readonly #pipeline: CheckedPipeline;
  #startedAt = '';

  private constructor({ pid, socket }: Session, url: SessionUrl, limits: ConnectionLimits) {
    this.pid = pid;
    this.url = url;
    this.#pipeline = new CheckedPipeline(socket, limits);
  }

  /** @throws {Refusal} `unavailable` when no session could be opened in time. */
  static async open(url: SessionUrl, limits: ConnectionLimits): Promise<Connection> {
    const connection = new Connection(await openSession(url, limits), url, limits);
    try {
      await Promise.all([connection.#pipeline.run(groups.preparation), connection.#readStart()]);
      return connection;
    } catch (error) {
      // The caller has no connection that it could close.
      throw connection.#pipeline.abandon(error);
    }
  }

  /** Whether the connection can be used. */
  get live(): boolean {
    return this.#pipeline.live;
  }

  /** The backend of the session, as the server knows it. */
  get backend(): Backend {
    const { user: login = '' } = keywordsIn(this.url);
    return { pid: this.pid, login, startedAt: this.#startedAt };
  }

  /** True if the server has said that the backend ends. Otherwise it may outlive its connection. */
  get backendEnds(): boolean {
    return this.#pipeline.backendEnds;
  }

  /** The number of sent calls without a result, now or when the connection ended. */
  get unanswered(): number {
    return this.#pipeline.unanswered;
  }

  /** Calls `listener` once, when the connection ends. */
  onClose(listener: () => void): void {
    this.#pipeline.onClose(listener);
  }

  /** Runs one statement as a transaction of its own, without any tenant's context. */
  plain<Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]> {
    return this.#pipeline.query<Row>({ schema: noSchema, text, values });
  }

  /**
   * Runs several statements without parameters. A transaction that they leave open is rolled back when one
   * of them fails. Only for constants and names from our own registry.
   */
  async script(text: string): Promise<void> {
    try {
      await this.#pipeline.run(query(text), 'I');
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /**
   * Runs statements that others wrote in one transaction that we begin and commit. Each must be a single
   * statement, and after all of them the transaction must be open; otherwise the connection ends before the
   * closing is sent.
   *
   * @param opening a script of ours that begins the transaction.
   * @param closing a script of ours that ends with `commit`.
   */
  async scripts(opening: string, statements: readonly string[], closing: string): Promise<void> {
    try {
      await Promise.all([
        this.#pipeline.run(query(opening), 'T'),
        this.#pipeline.run(singles(statements), 'T'),
      ]);
      await this.#pipeline.run(query(closing), 'I');
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /**
   * Runs one query of ours in a transaction of its own, without a round trip for its begin and its end.
   *
   * @param opening a script of ours that begins the transaction.
   */
  async queryIn<Row extends object>(opening: string, text: string): Promise<Row[]> {
    const template = Object.assign([text], { raw: [text] });
    const [, rows] = await Promise.all([
      this.#pipeline.run(query(opening), 'T'),
      this.#pipeline.query<Row>({ schema: noSchema, text: template, values: [] }),
      // After an error it rolls back.
      this.#pipeline.run(groups.commit, 'I'),
    ]);
    return rows;
  }

  /**
   * Makes the session as it was at its start, after it ran statements that others wrote: settings, role,
   * prepared statements, cursors, temporary tables, locks and LISTEN.
   */
  async discard(): Promise<void> {
    this.#pipeline.forgetStatements();
    await Promise.all([
      this.#pipeline.run(query('discard all')),
      this.#pipeline.run(groups.preparation),
    ]);
  }

  /**
   * Runs one statement in an envelope: the context, the statement, and a reset of all settings that the
   * statement may have changed, in one group. The server itself skips the statement when the context
   * cannot be set, and commits all of the group, or nothing.
   *
   * @returns the rows, once the server has ended the group: then it is committed.
   */
  statement<Row extends object>(
    { schema, context }: Envelope,
    text: TemplateStringsArray,
    values: SqlValue[],
    trace?: CallTrace,
  ): Promise<Row[]> {
    const statement = { schema, text, values };
    const statementsBefore = context ? 1 : 0;
    return this.#send<Row>({
      before: context,
      statementsBefore,
      statement,
      after: groups.end,
      trace,
    });
  }

  /** Sends the waiting calls now, before the turn of the event loop ends. */
  flush(): void {
    this.#pipeline.flush();
  }

  /**
   * Runs several statements in one transaction, which has the connection to itself until it ends.
   *
   * @param opening an envelope, which is sent with the first statement, or a script of ours that begins the
   *   transaction.
   */
  async transaction<Result>(
    opening: Envelope | string,
    work: (sql: Sql) => Promise<Result>,
    trace?: CallTrace,
  ): Promise<Result> {
    let toBegin = typeof opening === 'string' ? null : opening;
    const schema = toBegin?.schema ?? noSchema;
    const send = <Row extends object>(text: TemplateStringsArray, values: SqlValue[]) => {
      const statement = { schema, text, values };
      if (!toBegin) return this.#pipeline.query<Row>(statement, trace);
      const begin = beginning(toBegin);
      toBegin = null;
      const first = this.#send<Row>({
        ...begin,
        statement,
        after: groups.statement,
        statusAfter: 'T',
        trace,
      });
      // If it was not sent, no transaction is open, and the next statement would run by itself.
      first.catch(() => statements.close());
      return first;
    };
    const statements = new StatementSequence(send);
    try {
      return await this.#pipeline.withTimeout(async () => {
        if (typeof opening === 'string') await this.#pipeline.run(query(opening), 'T', trace);
        const result = await work(statements.sql);
        await statements.finish();
        if (!toBegin) await this.#commit(trace);
        return result;
      });
    } catch (error) {
      statements.close();
      if (!toBegin) await this.#rollBack(trace);
      throw error;
    }
  }

  /** Returns the plan of a statement, which runs in a transaction that is rolled back. */
  async plan(
    envelope: Envelope,
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<string[]> {
    const [first = '', ...rest] = text;
    const all = [`explain (analyze, buffers) ${first}`, ...rest];
    const explain = Object.assign(all, { raw: all });
    try {
      await this.#pipeline.run(Buffer.concat([beginning(envelope).before, sync]), 'T');
      return await this.#pipeline.plan({ schema: envelope.schema, text: explain, values });
    } finally {
      await this.#rollBack();
    }
  }

  /** Ends the session; calls without a result are rejected. */
  close(): void {
    this.#pipeline.close();
  }

  /** Ends the session and sends nothing. @param reason with which calls without a result are rejected. */
  abandon(reason: unknown): void {
    this.#pipeline.abandon(reason);
  }

  async #readStart(): Promise<void> {
    const [row] = await this.plain<{ startedAt: string }>`
      select backend_start::text as "startedAt" from pg_stat_get_activity(pg_backend_pid())`;
    this.#startedAt = row?.startedAt ?? '';
  }

  /**
   * Sends a statement behind messages of ours, which should never fail. If one does, or one behind it, the
   * session is in a wrong state.
   */
  #send<Row extends object>(group: SyncGroup & { statementsBefore: number }): Promise<Row[]> {
    const { statementsBefore } = group;
    return this.#pipeline.request(group, (result) => {
      const { error, completed } = result;
      const rows = completed > statementsBefore ? this.#pipeline.rowsIn<Row>(result) : [];
      if (!error) return rows;
      const isOfStatement = completed === statementsBefore;
      throw isOfStatement ? this.#pipeline.failure(error) : this.#pipeline.abandon(error);
    });
  }

  /** The server answers the commit of a failed transaction with ROLLBACK, not with an error. */
  async #commit(trace?: CallTrace): Promise<void> {
    const tag = await this.#pipeline.run(groups.commit, 'I', trace);
    if (tag === 'COMMIT') return;
    throw this.#pipeline.abandon(new Error(`Cannot commit: the server said ${tag}`));
  }

  async #rollBack(trace?: CallTrace): Promise<void> {
    if (!this.live) return;
    const rolledBack = this.#pipeline.run(groups.rollback, 'I', trace);
    await rolledBack.catch((error) => this.#pipeline.abandon(error));
  }
}
