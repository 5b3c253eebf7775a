/**
 * A client that accepts any message as an answer to the oldest waiting group, as many clients do:
 * the negative control of the fuzzer.
 */
import type { Socket } from 'node:net';
import { type Message, MessageReader } from '../../../src/postgres/protocol/message_reader.ts';
import type { GroupResult, SyncGroup } from '../../../src/postgres/protocol/pending_group.ts';
import { PreparedStatements } from '../../../src/postgres/protocol/prepared_statements.ts';
import { type Column, columnsIn, rowIn } from '../../../src/postgres/protocol/rows.ts';
import { errorIn, type ServerError } from '../../../src/postgres/protocol/server_error.ts';

type OnAnswer = (answer: GroupResult | null) => void;

export class LaxClient {
  readonly #socket: Socket;
  readonly #waiting: OnAnswer[] = [];
  #columns: Column[] = [];
  #rows: object[] = [];
  #error: ServerError | null = null;

  constructor(socket: Socket) {
    const reader = new MessageReader(100_000, (message) => this.#onMessage(message));
    this.#socket = socket
      .on('data', (chunk: Buffer) => {
        try {
          reader.read(chunk);
        } catch {
          socket.destroy();
        }
      })
      .on('error', () => {})
      .on('close', () => {
        for (const onAnswer of this.#waiting.splice(0)) onAnswer(null);
      });
  }

  send({ before, statement, after }: SyncGroup, onAnswer: OnAnswer): void {
    const ready = statement
      ? new PreparedStatements(1).prepare(statement).messages
      : Buffer.alloc(0);
    this.#socket.write(Buffer.concat([before ?? Buffer.alloc(0), ready, after]));
    this.#waiting.push(onAnswer);
  }

  #onMessage(message: Message): void {
    const type = String.fromCharCode(message.type);
    if (type === 'E') this.#error = errorIn(message);
    if (type === 'T') this.#columns = columnsIn(message, { chars: 1_000, depth: 8 });
    // The rows of a statement without columns are its context.
    if (type === '2') this.#rows = [];
    if (type === 'D') this.#onRow(message);
    if (type === 'Z') this.#onReady();
  }

  #onRow(message: Message): void {
    if (this.#columns.length > 0) this.#rows.push(rowIn(this.#columns, message));
  }

  #onReady(): void {
    const answer = {
      rows: this.#rows,
      tag: '',
      error: this.#error,
      completed: 0,
      protocolError: null,
    };
    this.#columns = [];
    this.#rows = [];
    this.#error = null;
    this.#waiting.shift()?.(answer);
  }
}
