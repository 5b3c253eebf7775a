/**
 * A client that costs almost nothing, so that it measures the server: prepared bytes go out on a
 * connection that stays open, one request at a time, and the client only looks for the end of the
 * answer.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Far longer than any answer takes. */
const patienceMs = 10_000;

export type Timed = { status: number; ms: number };

export class KeepAlive {
  readonly #socket: Socket;
  #received = '';
  #answered: ((status: number) => void) | null = null;
  #lost: ((error: Error) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', () => {});
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on('close', () => this.#lost?.(new Error('Cannot read an answer: the server hung up')));
  }

  /** Opens a connection to a `http://127.0.0.1:port` URL. */
  static async open(url: string): Promise<KeepAlive> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    return new KeepAlive(socket);
  }

  /** A server closes a connection that is idle for long. */
  get open(): boolean {
    return !this.#socket.destroyed;
  }

  /** Sends one request and resolves when the whole answer has arrived. */
  async ask(bytes: string): Promise<Timed> {
    if (!this.open) throw new Error('Cannot send a request: the server hung up');
    const sentAt = performance.now();
    const status = await new Promise<number>((resolve, reject) => {
      this.#answered = resolve;
      this.#lost = reject;
      this.#socket.write(bytes, 'latin1');
    });
    return { status, ms: performance.now() - sentAt };
  }

  close(): void {
    this.#lost = null;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(this.#received) ?? [];
    if (this.#received.length < headEnd + 4 + Number(length)) return;
    const status = Number(this.#received.slice(9, 12));
    const answered = this.#answered;
    this.#received = '';
    this.#answered = null;
    this.#lost = null;
    answered?.(status);
  }
}

/** The bytes of a request without a body. */
export function requestBytes(line: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: 'localhost', ...headers }).map((pair) => pair.join(': '));
  return [`${line} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}
