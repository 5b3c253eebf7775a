/**
 * Sends groups of messages without waiting for the replies to earlier ones. A group ends with a Sync. It
 * is one transaction, unless a transaction is open; after an error the server skips the rest of the group;
 * and results arrive in the order of the groups. Nothing is ever sent twice. A result is valid only with
 * exactly the expected replies and transaction status: with one message too many, or one too few, each
 * caller would receive the rows of the caller before.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
import type { Duplex } from 'node:stream';
import {
  ignored,
  type TransactionStatus,
  types,
  unexpected,
  withoutBody,
} from './backend_messages.ts';
import { type Message, MessageReader } from './message_reader.ts';
import { terminate } from './messages.ts';
import { type GroupResult, PendingGroup, type SyncGroup } from './pending_group.ts';
import { PreparedStatements, withPlaceholders } from './prepared_statements.ts';
import type { JsonLimits } from './rows.ts';
import { errorIn } from './server_error.ts';

export type PipelineLimits = {
  /** The most statements that the server keeps prepared. */
  statements: number;
  /** The most bytes of all replies to one group. Parsed, they may take thirty times as much memory. */
  answerBytes: number;
  /** Bounds of each JSON value. */
  json: JsonLimits;
  /** The longest wait for the next result while one is due. */
  silenceMs: number;
};

const empty = Buffer.alloc(0);

export class Pipeline {
  readonly #socket: Duplex;
  readonly #limits: PipelineLimits;
  readonly #statements: PreparedStatements;
  readonly #silenceTimer: NodeJS.Timeout;
  readonly #onEnd: (reason: unknown) => void;
  /** In the order in which their results arrive. */
  readonly #pending: PendingGroup[] = [];
  #outgoing: Buffer[] = [];
  /** The transaction status after the group that was sent last. */
  #statusAfterLast: TransactionStatus = 'I';
  #isClosed = false;

  /**
   * @param socket of a session that has begun and has no reply due.
   * @param listeners `onEnd` is called when the connection is lost, the session ends or the server
   *   violates the protocol; `onSilence` when a result is overdue. Neither is called after `end` or `destroy`.
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
    this.#silenceTimer = setTimeout(() => {
      if (this.#pending.length > 0) onSilence();
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
    const onClose = () => this.#fail(new Error('the connection was closed'));
    socket.on('close', onClose);
    // Later, because `onEnd` may use the pipeline, which the caller does not have yet.
    if (socket.destroyed) process.nextTick(onClose);
  }

  /**
   * Sends a group together with all others of this turn of the event loop: a system call that wakes the
   * server is much more expensive than the bytes.
   *
   * @param onResult called once: with the result, or with null when the connection ends before it.
   * @throws {TypeError} for a value that cannot be a parameter; then nothing is sent.
   */
  send(group: SyncGroup, onResult: (result: GroupResult | null) => void): void {
    const { before, statementsBefore = 0, statement, after, trace } = group;
    const prepared = statement ? this.#statements.prepare(statement) : null;
    const pending = new PendingGroup(prepared?.statement ?? null, statementsBefore, onResult);
    if (this.#outgoing.length === 0) setImmediate(() => this.flush());
    for (const close of this.#statements.takeCloseMessages()) this.#enqueue(pending, close);
    if (before) this.#enqueue(pending, before);
    if (prepared) this.#enqueue(pending, prepared.messages);
    this.#enqueue(pending, after);
    this.#statusAfterLast = group.statusAfter ?? this.#statusAfterLast;
    pending.statusAfter = this.#statusAfterLast;
    pending.changesStatus = group.statusAfter !== undefined;
    if (this.#pending.length === 0) this.#silenceTimer.refresh();
    this.#pending.push(pending);
    if (trace) {
      const parts = [before ?? empty, prepared?.messages ?? empty, after];
      trace.sent(Buffer.concat(parts), statement ? withPlaceholders(statement.text) : null);
    }
  }

  #enqueue(pending: PendingGroup, bytes: Buffer): void {
    pending.replies.add(bytes);
    this.#outgoing.push(bytes);
  }

  /** Prepares each statement again at its next use. */
  forgetStatements(): void {
    this.#statements.clear();
  }

  /** Writes the waiting groups now, before the turn ends. */
  flush(): void {
    if (this.#outgoing.length === 0 || this.#isClosed) return;
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    this.#socket.write(Buffer.concat(outgoing));
  }

  /** Ends the session with a Terminate message, if it can be written at once. Pending groups get null. */
  end(): void {
    if (this.#socket.writableLength > 0) this.#socket.destroy();
    else this.#socket.end(terminate, () => this.#socket.destroy());
    this.#cancelPending();
  }

  /** Closes the socket at once and sends nothing more. Pending groups get null. */
  destroy(): void {
    this.#socket.destroy();
    this.#cancelPending();
  }

  #cancelPending(): void {
    this.#isClosed = true;
    clearTimeout(this.#silenceTimer);
    for (const { onResult } of this.#pending.splice(0)) onResult(null);
  }

  #fail(reason: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onEnd(reason);
  }

  /** @throws {Error} the reason why the connection ends: a protocol violation or a FATAL. */
  #onMessage(message: Message): void {
    if (this.#isClosed) return;
    const pending = this.#pending[0];
    if (pending) pending.countBytes(message, this.#limits.answerBytes);
    if (!pending?.replies.accept(message.type)) {
      if (ignored.has(message.type)) return;
      throw message.type === types.errorResponse ? errorIn(message) : unexpected(message);
    }
    if (message.from !== message.to && withoutBody.has(message.type)) throw unexpected(message);
    switch (message.type) {
      case types.dataRow:
        pending.onRow(message);
        break;
      case types.commandComplete:
      case types.emptyQueryResponse:
        pending.onCompleted(message);
        break;
      case types.readyForQuery:
        this.#onReady(pending, message);
        break;
      case types.errorResponse:
        pending.onError(errorIn(message));
        break;
      case types.rowDescription:
      case types.noData:
        pending.onColumns(message, this.#limits.json);
        break;
    }
  }

  #onReady(pending: PendingGroup, message: Message): void {
    pending.onReady(message);
    this.#pending.shift();
    this.#silenceTimer.refresh();
    const { statement } = pending;
    if (statement && !statement.isPrepared) this.#statements.forget(statement);
    pending.onResult(pending);
    if (pending.protocolError) throw pending.protocolError;
  }
}
