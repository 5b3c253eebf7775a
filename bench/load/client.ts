/** Sends one request and reads its whole reply, over keep-alive connections. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { LoadRequest } from './messages.ts';

export type Answer = { status: number; text: string; headers: IncomingMessage['headers'] };

export class Client {
  readonly #agent = new Agent({ keepAlive: true, scheduling: 'fifo' });
  readonly #url: URL;
  readonly #timeoutMs: number;

  constructor(url: string, timeoutMs: number) {
    this.#url = new URL(url);
    this.#timeoutMs = timeoutMs;
  }

  /** @throws {Error} when the whole reply did not arrive in time. */
  async send({ method, path, headers, body }: LoadRequest): Promise<Answer> {
    const outgoing = request(this.#url, {
      agent: this.#agent,
      signal: AbortSignal.timeout(this.#timeoutMs),
      method,
      path,
      headers: { ...headers, ...(body ? { 'content-length': Buffer.byteLength(body) } : {}) },
    });
    outgoing.end(body);
    const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
    if (!incoming) throw new Error('Cannot read a reply: there is none');
    const answer = await text(incoming);
    return { status: incoming.statusCode ?? 0, text: answer, headers: incoming.headers };
  }

  close(): void {
    this.#agent.destroy();
  }
}
