/**
 * A backend that answers each message as Postgres would, with the values of a statement as its
 * rows, and passes the replies to the test before they are sent.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { MessageReader } from '../../../src/postgres/protocol/message_reader.ts';
import * as server from '../../support/server_messages.ts';

const { bound, closed, columns, done, failed, parameters, parsed, row, serverMessage } = server;

/** The text of a statement that fails instead of giving rows. */
export const failing = 'select fail';

export class FakeBackend {
  readonly #statements = new Map<string, string>();
  readonly #reader: MessageReader;
  readonly #socket: Socket;
  /** Requests that were answered and not yet reported. */
  #groups = 0;
  #replies: Buffer[] = [];
  /** The last statement that was bound: its text, and the values. */
  #bound = { text: '', values: [''] };
  #status = 'I';
  #skips = false;

  constructor(socket: Socket) {
    this.#reader = new MessageReader(100_000, ({ type, bytes, from, to }) => {
      this.#onMessage(String.fromCharCode(type), bytes.subarray(from, to));
    });
    this.#socket = socket.on('data', (chunk: Buffer) => this.#reader.read(chunk));
  }

  /** The replies to this many groups, each as one buffer. */
  async repliesTo(groups: number): Promise<Buffer[]> {
    while (this.#groups < groups) await once(this.#socket, 'data');
    this.#groups -= groups;
    return this.#replies.splice(0);
  }

  #onMessage(type: string, body: Buffer): void {
    if (type === 'S') this.#end();
    if (this.#skips) return;
    if (type === 'C') this.#say(closed);
    if (type === 'D') this.#say(parameters, columns(['marker', 25]));
    if (type === 'E') this.#run(this.#bound.text);
    if (type === 'B') {
      this.#bound = this.#boundIn(body);
      this.#say(bound);
    }
    if (type === 'P') {
      const [name = '', text = ''] = body.toString().split('\0');
      this.#statements.set(name, text);
      this.#say(parsed);
    }
    if (type === 'Q') {
      this.#run(body.toString('utf8', 0, body.length - 1));
      this.#end();
    }
  }

  #end(): void {
    this.#skips = false;
    this.#groups += 1;
    this.#say(serverMessage('Z', this.#status));
  }

  #boundIn(body: Buffer): { text: string; values: string[] } {
    const name = body.toString('utf8', 1, body.indexOf(0, 1));
    let at = 2 + name.length + 2;
    const values: string[] = [];
    for (let left = body.readUInt16BE(at); left > 0; left -= 1) {
      const length = body.readUInt32BE(at + 2);
      values.push(body.toString('utf8', at + 6, at + 6 + length));
      at += 4 + length;
    }
    return { text: this.#statements.get(name) ?? name, values };
  }

  #run(text: string): void {
    if (text.startsWith(failing)) {
      this.#skips = true;
      if (this.#status === 'T') this.#status = 'E';
      this.#say(failed('22012'));
      return;
    }
    if (text === 'begin') this.#status = 'T';
    if (text === 'commit') this.#status = 'I';
    if (/^(begin|commit|reset)$/.test(text)) {
      this.#say(done(text.toUpperCase()));
      return;
    }
    for (const value of this.#bound.values) this.#say(row(value));
    this.#say(done(`SELECT ${this.#bound.values.length}`));
  }

  #say(...replies: Buffer[]): void {
    this.#replies.push(...replies);
  }
}
