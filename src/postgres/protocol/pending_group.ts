/**
 * A group of messages that was sent, and the result that its replies add up to. The pipeline has checked
 * that each reply is the expected one; a group checks its contents: the rows of its statement, their
 * number, the size of all replies, and the transaction status behind the group.
 */
import type { CallTrace } from '../../kernel/trace.ts';
import { statusIn, type TransactionStatus, tagIn, types, unexpected } from './backend_messages.ts';
import { ExpectedReplies } from './expected_replies.ts';
import { headBytes, type Message } from './message_reader.ts';
import type { BoundStatement, PreparedStatement } from './prepared_statements.ts';
import { columnsIn, type JsonLimits, rowIn } from './rows.ts';
import type { ServerError } from './server_error.ts';

/** Messages that are sent and answered as a whole. At most one of their statements returns a result. */
export type SyncGroup = {
  /** Messages before the statement, which run `statementsBefore` other statements. */
  before?: Buffer | null;
  statementsBefore?: number;
  /** The statement whose rows and tag are returned. Without it the first one's tag is returned. */
  statement?: BoundStatement;
  /** Messages behind the statement; the last one is a Sync or a simple query. */
  after: Buffer;
  /** The transaction status after the group, if the group begins or ends a transaction. */
  statusAfter?: TransactionStatus | undefined;
  /** Receives the bytes, and the result. */
  trace?: CallTrace | undefined;
};

export type GroupResult = {
  rows: object[];
  /** The command tag without its counts, such as `SELECT`; null for an empty statement. */
  tag: string | null;
  /** The first error. */
  error: ServerError | null;
  /** How many statements completed, which is how many came before the error. */
  completed: number;
  /** Set when the transaction status is wrong. The result is then invalid, and no other one follows. */
  protocolError: Error | null;
};

/** A class with all of its fields, because one is made for each group. */
export class PendingGroup implements GroupResult {
  readonly rows: object[] = [];
  readonly replies = new ExpectedReplies();
  readonly statement: PreparedStatement | null;
  readonly onResult: (result: GroupResult | null) => void;
  /** The expected transaction status after the group, and whether the group changes it. */
  statusAfter: TransactionStatus = 'I';
  changesStatus = false;
  tag: string | null = null;
  error: ServerError | null = null;
  protocolError: Error | null = null;
  completed = 0;
  /** How many statements complete before the one whose result is returned. */
  readonly #statementsBefore: number;
  #replyBytes = 0;

  constructor(
    statement: PreparedStatement | null,
    statementsBefore: number,
    onResult: (result: GroupResult | null) => void,
  ) {
    this.statement = statement;
    this.#statementsBefore = statementsBefore;
    this.onResult = onResult;
  }

  /** Adds the size of a reply. @throws {Error} when all replies together are larger than `maxBytes`. */
  countBytes({ from, to }: Message, maxBytes: number): void {
    this.#replyBytes += to - from + headBytes;
    if (this.#replyBytes <= maxBytes) return;
    throw new Error(`Cannot read a result: it has more than ${maxBytes} bytes`);
  }

  onColumns(message: Message, json: JsonLimits): void {
    const { statement } = this;
    if (!statement) return;
    statement.columns = message.type === types.noData ? null : columnsIn(message, json);
    statement.isPrepared = true;
  }

  onRow(message: Message): void {
    const { statement } = this;
    if (!statement || this.completed !== this.#statementsBefore) return;
    if (!statement.columns) throw unexpected(message);
    this.rows.push(rowIn(statement.columns, message));
  }

  /** @throws {Error} when the tag names another number of rows than have arrived. */
  onCompleted(message: Message): void {
    if (this.completed === this.#statementsBefore) {
      const { words, rows } = tagIn(message);
      const isComplete = rows === null || !this.statement?.columns || rows === this.rows.length;
      if (!isComplete) {
        throw new Error(`Cannot read a result: ${this.rows.length} of ${rows} rows arrived`);
      }
      this.tag = words;
    }
    this.completed += 1;
  }

  /** @throws {ServerError} the error itself, when it ends the session. */
  onError(error: ServerError): void {
    if (error.severity !== 'ERROR') throw error;
    this.error = error;
  }

  onReady(message: Message): void {
    const status = statusIn(message);
    if (this.#allowsStatus(status)) return;
    this.protocolError = new Error(`Cannot go on: the transaction status is "${status}"`);
  }

  /**
   * An error inside a transaction leaves a failed transaction. After an error in a group that begins or
   * ends one, there is none, or a failed one.
   */
  #allowsStatus(status: TransactionStatus): boolean {
    if (!this.error) return status === this.statusAfter;
    if (this.changesStatus) return status !== 'T';
    return status === (this.statusAfter === 'T' ? 'E' : 'I');
  }
}
