/**
 * A lane: one warmed connection, reserved for life. postgres.js loses the order of pipelined
 * statements when a connection drops and reconnects, and that leaks rows across tenants; so a lane
 * takes work only while its one connection lives, and is never used again after a close, an
 * unexpected tag, a call that took too long, or an error that speaks of a wrong context.
 */
import { IsolationViolation, Refusal, unavailable } from '../kernel/errors.ts';
import type { Sql, SqlValue } from '../kernel/ports.ts';
import { EnvelopeChain } from './envelope_chain.ts';
import { asRefusal, endsLane } from './faults.ts';
import { type LaneBounds, openSession, type Session, type Target } from './lane_session.ts';
import { assertValues } from './parameters.ts';
import { type Answer, Reading, Readings } from './reading.ts';
import { beforeResending } from './resending.ts';

export type { LaneBounds, Target } from './lane_session.ts';

/** Tags of statements that leave nothing behind but rows. */
const queries = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE']);

export class Lane {
  readonly pid: number;
  readonly target: Target;
  readonly #session: Session;
  readonly #bounds: LaneBounds;
  readonly #chain: EnvelopeChain;
  readonly #readings: Readings;
  readonly #onResend = () => {
    this.#session.cut();
    this.#end(unavailable('The database has to be asked again'));
  };
  readonly #waiting = new Set<(reason: unknown) => void>();
  #onClose: () => void = () => {};
  #onStuck: () => void = () => {};
  #live = true;

  private constructor(session: Session, target: Target, bounds: LaneBounds) {
    this.pid = session.pid;
    this.target = target;
    this.#session = session;
    this.#bounds = bounds;
    this.#chain = new EnvelopeChain((text) => session.sql.unsafe(text));
    this.#readings = new Readings(bounds.callTimeoutMs, () => this.#endStuck());
    session.onClose(() => this.#end(unavailable('The database connection was lost')));
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

  /**
   * Calls `listener` when the server did not answer in time. A backend that sleeps or waits for a lock
   * does not notice that its client has gone, and an injected statement may have lifted its limits.
   */
  onStuck(listener: () => void): void {
    this.#onStuck = listener;
  }

  /** One statement that is its own transaction, without any tenant's context. */
  async plain<Row extends object>(
    text: TemplateStringsArray,
    ...values: SqlValue[]
  ): Promise<Row[]> {
    assertValues(values);
    return this.#ask(() => this.#send<Row>(text, values));
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
    this.#chain.end();
    const [begun, rows, ended] = await this.#bounded(() =>
      Promise.allSettled([
        this.#session.sql.unsafe(envelope).execute(),
        this.#send<Row>(text, values),
        this.#session.sql.unsafe('commit').execute(),
      ]),
    );
    if (begun.status === 'rejected') throw this.#abandon(begun.reason);
    if (rows.status === 'rejected') throw this.#fault(rows.reason);
    if (ended.status === 'rejected') throw this.#abandon(ended.reason);
    this.#expectCommit(ended.value.command);
    return this.#expectQuery(rows.value);
  }

  /**
   * One statement that only reads, in an envelope as above. Those that are called in one turn of the
   * event loop follow each other on the wire; what ends one of them begins the next, and its tag is
   * not seen, which matters only to what was written.
   */
  read<Row extends object>(
    envelope: string,
    text: TemplateStringsArray,
    values: SqlValue[],
  ): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      assertValues(values);
      this.#assertLive();
      const reading = new Reading<Row>(this.#readings, (answer) => {
        try {
          resolve(this.#rowsOf(answer));
        } catch (error) {
          reject(error);
        }
      });
      this.#chain.begin(envelope, reading);
      this.#send<Row>(text, values).then(
        (rows) => reading.onRows(rows),
        (error) => reading.onFault(error),
      );
    });
  }

  /** Sends the end of a batch of reads now: nobody else will join them in this turn. */
  endBatch(): void {
    this.#chain.end();
  }

  /** Several statements in one transaction, which has the lane to itself until it ends. */
  async transaction<Result>(
    envelope: string,
    work: (sql: Sql) => Promise<Result>,
  ): Promise<Result> {
    let open = true;
    const sql: Sql = async <Row extends object>(
      text: TemplateStringsArray,
      ...values: SqlValue[]
    ): Promise<Row[]> => {
      if (!open) throw new Error('Cannot run a statement: its transaction has ended');
      assertValues(values);
      return this.#expectQuery(await this.#ask(() => this.#send<Row>(text, values)));
    };
    const transact = async (): Promise<Result> => {
      await this.#run(envelope);
      const result = await work(sql);
      open = false;
      const commit = await this.#ask(() => this.#session.sql.unsafe('commit').execute());
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

  #rowsOf<Row extends object>(answer: Answer<Row>): Row[] {
    if ('ended' in answer) throw answer.ended;
    if ('misled' in answer) throw this.#abandon(answer.misled);
    if ('fault' in answer) throw this.#fault(answer.fault);
    // Nobody is answered who travelled behind what has ended the lane.
    this.#assertLive();
    return this.#expectQuery(answer.rows);
  }

  #assertLive(): void {
    if (!this.#live) throw unavailable('The database connection was lost');
  }

  async #rollBack(): Promise<void> {
    if (!this.#live) return;
    await this.#run('rollback').catch((error) => this.#abandon(error));
  }

  async #run(text: string): Promise<void> {
    await this.#ask(() => this.#session.sql.unsafe(text).execute());
  }

  #send<Row extends object>(text: TemplateStringsArray, values: SqlValue[]) {
    const query = this.#session.sql<Row[]>(text, ...values);
    beforeResending(query, this.#onResend);
    return query.execute();
  }

  /** One message to the server, after which the lane may be over. */
  async #ask<Result>(call: () => Promise<Result>): Promise<Result> {
    this.#chain.end();
    try {
      return await this.#bounded(call);
    } catch (error) {
      throw this.#fault(error);
    }
  }

  /** Runs the call and settles at the latest when the lane ends or the call's time is over. */
  async #bounded<Result>(call: () => Promise<Result>): Promise<Result> {
    this.#assertLive();
    let giveUp: (reason: unknown) => void = () => {};
    const ended = new Promise<never>((_resolve, reject) => {
      giveUp = reject;
    });
    this.#waiting.add(giveUp);
    const timer = setTimeout(() => this.#endStuck(), this.#bounds.callTimeoutMs);
    try {
      return await Promise.race([call(), ended]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(giveUp);
    }
  }

  #expectCommit(tag: string | null): void {
    if (tag !== 'COMMIT') throw this.#abandon(new Error(`Cannot commit: the server said ${tag}`));
  }

  /**
   * Our statements are queries. Another one was injected, and what it leaves in the session (a swapped
   * prepared statement, an ended transaction, a role) must not meet the next tenant.
   */
  #expectQuery<Rows extends { command: string | null }>(rows: Rows): Rows {
    if (queries.has(rows.command ?? '')) return rows;
    const tag = new Error(`the server said ${rows.command}, which is no query`);
    throw this.#abandon(new IsolationViolation(tag));
  }

  /** An error of a statement; some of them also say that this session cannot be trusted. */
  #fault(error: unknown): unknown {
    return endsLane(error) ? this.#abandon(error) : asRefusal(error);
  }

  /**
   * Ends the lane. Calls around this one learn the same: a transaction fails as its statement did.
   * Reads behind it are other tenants', and neither their fault nor their business is what it was.
   */
  #abandon(error: unknown): unknown {
    const reason = asRefusal(error);
    this.#end(reason);
    return reason;
  }

  #endStuck(): void {
    if (this.#live) this.#onStuck();
    this.#end(unavailable('The database did not answer in time'));
  }

  #end(reason: unknown): void {
    if (!this.#live) return;
    this.#live = false;
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
    this.#readings.giveUp(asLoss(reason));
    void this.#session.end();
    this.#onClose();
  }
}

/** What ended a lane, to those behind it: not theirs is a violation that somebody else committed. */
function asLoss(reason: unknown): Refusal {
  return reason instanceof Refusal ? reason : unavailable('The database connection was lost');
}
