/**
 * A connection to the server as a conversation in groups. What is sent up to a Sync is a group: it is
 * one transaction unless one is open, after an error the server passes over the rest of it, and it is
 * answered as a whole, in the order of the groups. Nothing is ever sent twice. An answer is good only
 * with exactly the replies and the transaction status that are due: one message too many, or too few,
 * would give each caller the rows of the one before.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
import type { Duplex } from 'node:stream';
import {
  ignored,
  statusIn,
  type TransactionStatus,
  tagIn,
  types,
  unexpected,
  withoutBody,
} from './backend_messages.ts';
import { ExpectedReplies } from './expected_replies.ts';
import { headBytes, type Message, MessageReader } from './message_reader.ts';
import { terminate } from './messages.ts';
import { type Call, PreparedStatements, type Statement } from './prepared_statements.ts';
import { columnsIn, type JsonLimits, rowIn } from './rows.ts';
import { errorIn, type ServerError } from './server_error.ts';

export type PipelineLimits = {
  /** Statements that the server keeps prepared. */
  statements: number;
  /** Bytes of all replies to one group. What is made of them may take thirty times as much. */
  answerBytes: number;
  /** Of each value. */
  json: JsonLimits;
  /** How long the server may be silent while it owes an answer. */
  silenceMs: number;
};

/** What is sent, and what of it is wanted. */
export type SyncGroup = {
  /** Messages before the statement, which run `runsBefore` others. */
  before?: Buffer | null;
  runsBefore?: number;
  /** The statement whose rows and tag are wanted; without one, the tag of the first that runs. */
  call?: Call;
  /** Messages behind it, up to a Sync or a message that includes one. */
  after: Buffer;
  /** The transaction status behind it, where it opens or ends a transaction. */
  leaves?: TransactionStatus | undefined;
};

export type GroupResult = {
  rows: object[];
  /** What the server calls what it has done, such as `SELECT`; null for an empty statement. */
  tag: string | null;
  /** The first error, and how many statements had run before it. */
  error: ServerError | null;
  runs: number;
  /** Set when the transaction status is not what it must be: the answer is no good, and the last one. */
  fault: Error | null;
};

export class Pipeline {
  readonly #socket: Duplex;
  readonly #limits: PipelineLimits;
  readonly #statements: PreparedStatements;
  readonly #silence: NodeJS.Timeout;
  readonly #onEnd: (reason: unknown) => void;
  /** In the order in which they will be answered. */
  readonly #asked: PendingGroup[] = [];
  #outgoing: Buffer[] = [];
  /** The transaction status behind what was sent last. */
  #leaves: TransactionStatus = 'I';
  #isOver = false;

  /**
   * @param socket of a session that has begun and owes nothing.
   * @param listeners `onEnd` is called when the connection is lost or the server says what cannot be;
   *   `onSilence` when an answer is overdue. Neither after `end` or `cut`.
   */
  constructor(
    socket: Duplex,
    limits: PipelineLimits,
    { onEnd, onSilence }: { onEnd: (reason: unknown) => void; onSilence: () => void },
  ) {
    this.#socket = socket;
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#statements = new PreparedStatements(limits.statements);
    this.#silence = setTimeout(() => {
      if (this.#asked.length > 0) onSilence();
    }, limits.silenceMs).unref();
    const reader = new MessageReader(limits.answerBytes, (message) => this.#onMessage(message));
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.read(chunk);
      } catch (error) {
        this.#fail(error);
      }
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
    // The caller may want to destroy it, and has to have it before.
    if (socket.destroyed)
      process.nextTick(() => this.#fail(new Error('the connection was closed')));
  }

  /**
   * Sends a group, together with all that is sent in this turn of the event loop: a system call that
   * wakes the other side costs far more than the bytes.
   *
   * @param onAnswer called once: with the answer, or with null when the connection is over.
   * @throws {TypeError} for a value that cannot be a parameter; then nothing is sent.
   */
  send(group: SyncGroup, onAnswer: (answer: GroupResult | null) => void): void {
    const { before, runsBefore = 0, call, after } = group;
    const ready = call ? this.#statements.ready(call) : null;
    const asked = new PendingGroup(ready?.statement ?? null, runsBefore, onAnswer);
    if (this.#outgoing.length === 0) setImmediate(() => this.flush());
    for (const closing of this.#statements.takeClosing()) this.#put(asked, closing);
    if (before) this.#put(asked, before);
    if (ready) this.#put(asked, ready.messages);
    this.#put(asked, after);
    this.#leaves = group.leaves ?? this.#leaves;
    asked.leaves = this.#leaves;
    asked.mayOpenOrEnd = group.leaves !== undefined;
    if (this.#asked.length === 0) this.#silence.refresh();
    this.#asked.push(asked);
  }

  #put(asked: PendingGroup, bytes: Buffer): void {
    asked.replies.add(bytes);
    this.#outgoing.push(bytes);
  }

  /** Writes now what waits for the end of the turn. */
  flush(): void {
    if (this.#outgoing.length === 0 || this.#isOver) return;
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    this.#socket.write(Buffer.concat(outgoing));
  }

  /** Takes leave of the server, if that can be said at once; groups without an answer have none. */
  end(): void {
    if (this.#socket.writableLength > 0) this.#socket.destroy();
    else this.#socket.end(terminate, () => this.#socket.destroy());
    this.#giveUp();
  }

  /** Lets nothing more out, and does not wait for the other side. */
  destroy(): void {
    this.#socket.destroy();
    this.#giveUp();
  }

  #giveUp(): void {
    this.#isOver = true;
    clearTimeout(this.#silence);
    for (const { onAnswer } of this.#asked.splice(0)) onAnswer(null);
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(reason);
  }

  /** @throws whatever says that the conversation is over. */
  #onMessage(message: Message): void {
    if (this.#isOver) return;
    const asked = this.#asked[0];
    if (asked) this.#count(asked, message);
    if (!asked?.replies.take(message.type)) {
      if (ignored.has(message.type)) return;
      throw message.type === types.errorResponse ? errorIn(message) : unexpected(message);
    }
    if (message.from !== message.to && withoutBody.has(message.type)) throw unexpected(message);
    switch (message.type) {
      case types.dataRow:
        this.#onRow(asked, message);
        break;
      case types.commandComplete:
      case types.emptyQueryResponse:
        this.#onRun(asked, message);
        break;
      case types.readyForQuery:
        this.#onReady(asked, message);
        break;
      case types.errorResponse:
        this.#onError(asked, errorIn(message));
        break;
      case types.rowDescription:
      case types.noData:
        this.#onColumns(asked, message);
        break;
    }
  }

  #count(asked: PendingGroup, { from, to }: Message): void {
    const { answerBytes } = this.#limits;
    asked.bytes += to - from + headBytes;
    if (asked.bytes <= answerBytes) return;
    throw new Error(`Cannot take an answer: it has more than ${answerBytes} bytes`);
  }

  #onColumns({ statement }: PendingGroup, message: Message): void {
    if (!statement) return;
    statement.columns =
      message.type === types.noData ? null : columnsIn(message, this.#limits.json);
    statement.isPrepared = true;
  }

  #onRow({ statement, runs, wanted, rows }: PendingGroup, message: Message): void {
    if (!statement || runs !== wanted) return;
    if (!statement.columns) throw unexpected(message);
    rows.push(rowIn(statement.columns, message));
  }

  #onRun(asked: PendingGroup, message: Message): void {
    if (asked.runs === asked.wanted) {
      const { words, rows } = tagIn(message);
      const isWhole = rows === null || !asked.statement?.columns || rows === asked.rows.length;
      if (!isWhole)
        throw new Error(`Cannot take an answer: it has not the ${rows} rows of its tag`);
      asked.tag = words;
    }
    asked.runs += 1;
  }

  #onError(asked: PendingGroup, error: ServerError): void {
    if (error.severity !== 'ERROR') throw error;
    asked.error = error;
  }

  #onReady(asked: PendingGroup, message: Message): void {
    const status = statusIn(message);
    this.#asked.shift();
    this.#silence.refresh();
    if (asked.statement && !asked.statement.isPrepared) this.#statements.forget(asked.statement);
    if (!asked.mayLeave(status)) {
      asked.fault = new Error(`Cannot go on: the transaction status is "${status}"`);
    }
    asked.onAnswer(asked);
    if (asked.fault) throw asked.fault;
  }
}

/** A group that was sent. A class, because one is made for each. */
class PendingGroup implements GroupResult {
  readonly rows: object[] = [];
  readonly replies = new ExpectedReplies();
  readonly statement: Statement | null;
  /** How many statements run before the one that is wanted. */
  readonly wanted: number;
  readonly onAnswer: (answer: GroupResult | null) => void;
  /** The transaction status behind it, and whether it is another one than before. */
  leaves: TransactionStatus = 'I';
  mayOpenOrEnd = false;
  tag: string | null = null;
  error: ServerError | null = null;
  fault: Error | null = null;
  runs = 0;
  bytes = 0;

  constructor(
    statement: Statement | null,
    wanted: number,
    onAnswer: (answer: GroupResult | null) => void,
  ) {
    this.statement = statement;
    this.wanted = wanted;
    this.onAnswer = onAnswer;
  }

  /** An error in a transaction leaves it failed; where it opens or ends one, there may be none. */
  mayLeave(status: TransactionStatus): boolean {
    if (!this.error) return status === this.leaves;
    if (this.mayOpenOrEnd) return status !== 'T';
    return status === (this.leaves === 'T' ? 'E' : 'I');
  }
}
