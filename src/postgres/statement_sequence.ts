/**
 * The statements of one transaction. Each is sent when the one before it is known to be a query: of three
 * that are injected at once, the first could reset the role, the second change the login's password, and
 * the third commit that.
 */
import type { Sql, SqlValue } from '../kernel/ports.ts';

/** Sends one statement; rejects unless it is a query. */
type Send = <Row extends object>(text: TemplateStringsArray, values: SqlValue[]) => Promise<Row[]>;

export class StatementSequence {
  readonly #send: Send;
  #isOpen = true;
  #latest: Promise<unknown> = Promise.resolve();

  constructor(send: Send) {
    this.#send = send;
  }

  /** Sends a statement after all earlier ones. @throws {Error} after `close`. */
  readonly sql: Sql = async <Row extends object>(
    text: TemplateStringsArray,
    ...values: SqlValue[]
  ) => {
    const rows = this.#latest.then(() => {
      if (!this.#isOpen) throw new Error('Cannot run a statement: its transaction has ended');
      return this.#send<Row>(text, values);
    });
    this.#latest = rows.catch(() => {});
    return rows;
  };

  /** Waits for all statements, also those that the caller did not await. Further ones are refused. */
  async finish(): Promise<void> {
    await this.#latest;
    this.close();
  }

  /** Refuses further statements. */
  close(): void {
    this.#isOpen = false;
  }
}
