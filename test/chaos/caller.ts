/**
 * A client with its own keep-alive socket that expects the worst: every call ends with or without
 * an answer, is timed, and may be cut off half-way.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { bearer, type Headers, naming, type Way } from '../support/client.ts';
import type { Anomalies } from './anomalies.ts';
import type { Refused } from './outages.ts';
import type { Attempt } from './possible.ts';

/** The status is 0 when the socket was lost; the body is null when it is not JSON. */
export type Answer = { status: number; body: unknown; attempt: Attempt };

export type Order = { slug: string; apiKey: string; way: Way; body?: unknown };

/** A call that took so long that it is checked again once all pauses are known. */
export type LongCall = { what: string; sentMs: number; endedMs: number };

export type CallRecord = {
  anomalies: Anomalies;
  /** Answers by status. */
  answers: Map<number, number>;
  long: LongCall[];
  refused: Refused[];
};

const longMs = 1_000;
/** Longer than every limit and the longest pause of the server. */
const patienceMs = 30_000;

/** Statuses that the server may answer to a correct call; 0 is a lost socket. */
const expected = new Set([200, 201, 204, 401, 404, 429, 503, 0]);

export class Caller {
  readonly #url: URL;
  readonly #calls: CallRecord;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #troubles = 0;

  constructor(url: string, calls: CallRecord) {
    this.#url = new URL(url);
    this.#calls = calls;
  }

  /** Calls so far that the server could not serve. */
  get troubles(): number {
    return this.#troubles;
  }

  /** Sends `METHOD /path` for a tenant. Never rejects. */
  async ask(line: string, { slug, apiKey, way, body }: Order): Promise<Answer> {
    const { prefix, named } = naming(this.#url.href, slug)[way];
    const headers = { ...bearer(apiKey), ...named };
    const sentMs = performance.now();
    const { status, received } = await this.#send(line.replace(' ', ` ${prefix}`), body, headers);
    const endedMs = performance.now();
    const what = `${line} of ${slug}: ${status} ${received}`;
    this.#record({ what, slug, sentMs, endedMs }, status);
    const answeredMs = status === 0 ? null : endedMs;
    return { status, body: jsonOf(received), attempt: { sentMs, answeredMs } };
  }

  /** Ends the socket, whatever call is in progress on it. */
  cut(): void {
    this.#agent.destroy();
  }

  async #send(line: string, body: unknown, headers: Headers) {
    const [method = '', path = ''] = line.split(' ');
    const { hostname, port } = this.#url;
    const content = body === undefined ? {} : { 'content-type': 'application/json' };
    try {
      const outgoing = request({
        agent: this.#agent,
        hostname,
        port,
        method,
        path,
        headers: { ...content, ...headers },
        signal: AbortSignal.timeout(patienceMs),
      });
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
      const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
      if (!incoming) return { status: 0, received: '' };
      return { status: incoming.statusCode ?? 0, received: await text(incoming) };
    } catch {
      return { status: 0, received: '' };
    }
  }

  #record(call: Refused, status: number) {
    const { what, sentMs, endedMs } = call;
    const { anomalies, answers, long, refused } = this.#calls;
    answers.set(status, (answers.get(status) ?? 0) + 1);
    if (status === 0 || status === 503) {
      this.#troubles += 1;
      refused.push(call);
    }
    if (endedMs - sentMs >= longMs) long.push({ what, sentMs, endedMs });
    if (endedMs - sentMs >= patienceMs) anomalies.report('endless call', what);
    if (!expected.has(status)) anomalies.report('odd answer', what);
  }
}

function jsonOf(received: string): unknown {
  try {
    return JSON.parse(received);
  } catch {
    return null;
  }
}
