/**
 * The clients of a connection flood: each opens connections that no proper client would, one after
 * the other, and records how the server ended them.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

type ClientKind = {
  /** Clients of this kind that run at the same time. */
  clients: number;
  bytes: readonly string[];
  /** Sent again and again until the server closes. */
  drip?: string;
  /** Whether the client reads nothing of the answers. */
  unread?: boolean;
  /** The status with which the server ends it; `closed` for none at all. */
  ending: string;
};

/** For each kind of client, how often the server ended a connection in which way. */
export type Tally = Record<string, Map<string, number>>;

const dripEveryMs = 250;

/** The clients start one after the other: all at once they would test the machine. */
const rampUpMs = 4_000;

/** Far longer than every limit of the server. */
const patienceMs = 60_000;

const chunked = 'Transfer-Encoding: chunked\r\n';

export class ConnectionFlood {
  readonly #port: number;
  readonly #kinds: Record<string, ClientKind>;
  readonly #tally: Tally = {};
  #over = false;
  #open = 0;
  #mostOpen = 0;

  /**
   * The clients have a key, because without one the server reads no body and sends no large reply.
   */
  constructor(
    url: string,
    { apiKey, slug }: { apiKey: string; slug: string },
    silentConnections: number,
  ) {
    this.#port = Number(new URL(url).port);
    const named = `Host: a\r\nX-Tenant-ID: ${slug}\r\nAuthorization: Bearer ${apiKey}\r\n`;
    this.#kinds = {
      silence: { clients: silentConnections, bytes: [''], ending: 'closed' },
      ...headClients(),
      ...bodyClients(`POST /api/pets HTTP/1.1\r\n${named}Content-Type: application/json\r\n`),
      ...readerClients(`GET /api/pets?limit=100 HTTP/1.1\r\n${named}\r\n`),
    };
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Connections of the flood that were open at the same time. */
  get mostOpen(): number {
    return this.#mostOpen;
  }

  /** How the server should end the connections of each kind. */
  get endings(): Record<string, string> {
    const entries = Object.entries(this.#kinds);
    return Object.fromEntries(entries.map(([name, { ending }]) => [name, ending]));
  }

  /** No new connection after `forMs`; resolves when the server has ended the last one. */
  async run(forMs: number): Promise<Tally> {
    const clients = Object.entries(this.#kinds).flatMap(([name, kind]) =>
      Array.from({ length: kind.clients }, (_, at) => this.#runClient(name, kind, at)),
    );
    await pause(forMs);
    this.#over = true;
    await Promise.all(clients);
    return this.#tally;
  }

  async #runClient(name: string, kind: ClientKind, first: number): Promise<void> {
    const ends = new Map<string, number>();
    this.#tally[name] ??= ends;
    await pause((rampUpMs * first) / kind.clients);
    for (let at = first; !this.#over; at += 1) {
      const socket = await this.#connect();
      // No more connections than this machine allows.
      if (!socket) return;
      const end = await endOf(socket, kind, kind.bytes[at % kind.bytes.length] ?? '');
      this.#open -= 1;
      this.#count(name, end);
      await pause(dripEveryMs);
    }
  }

  async #connect(): Promise<Socket | null> {
    const socket = connect(this.#port, '127.0.0.1');
    try {
      await once(socket, 'connect');
    } catch {
      return null;
    }
    socket.on('error', () => {});
    this.#open += 1;
    this.#mostOpen = Math.max(this.#mostOpen, this.#open);
    return socket;
  }

  #count(name: string, end: string): void {
    const ends = this.#tally[name];
    ends?.set(end, (ends.get(end) ?? 0) + 1);
  }
}

/** Clients that need no key: their bytes never become a request. */
function headClients(): Record<string, ClientKind> {
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n';
  const post = 'POST / HTTP/1.1\r\nHost: a\r\n';
  return {
    slowHeads: { clients: 200, bytes: [get], drip: 'A: b\r\n', ending: '408' },
    headerBombs: {
      clients: 4,
      bytes: [
        `${get}A: ${'b'.repeat(200_000)}\r\n\r\n`,
        `${get}${'A: b\r\n'.repeat(500)}\r\n`,
        `${get}${'A: b\r\n'.repeat(20_000)}\r\n`,
      ],
      ending: '431',
    },
    smuggling: {
      clients: 4,
      bytes: [
        `${post}Content-Length: 6\r\n${chunked}\r\n0\r\n\r\nG`,
        `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${get}\r\n`,
        `GET //a HTTP/1.1\r\nHost: a\r\n\r\n${`${get}\r\n`.repeat(1_000)}`,
      ],
      ending: '400',
    },
  };
}

function bodyClients(head: string): Record<string, ClientKind> {
  const sized = (body: string) => `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  return {
    slowBodies: {
      clients: 100,
      bytes: [
        `${head}Content-Length: 10000\r\n\r\n{`,
        `${head}Content-Length: 16384\r\n\r\n"${'x'.repeat(12_000)}`,
      ],
      drip: 'x',
      ending: '408',
    },
    // Each byte in a chunk of its own, and then no end.
    crumbledBodies: {
      clients: 12,
      bytes: [`${head}${chunked}\r\n${'1\r\n \r\n'.repeat(8_000)}`],
      drip: '1\r\n \r\n',
      ending: '408',
    },
    bodyBombs: {
      clients: 4,
      bytes: [
        `${head}Content-Length: 300000000\r\n\r\n`,
        `${head}${chunked}\r\n100000\r\n${'x'.repeat(1_048_576)}`,
        `${head}${chunked}\r\n${`1;${'a'.repeat(16_000)}\r\n \r\n`.repeat(100)}`,
      ],
      ending: '413',
    },
    jsonBombs: {
      clients: 4,
      bytes: [
        sized(`${'['.repeat(8_000)}${']'.repeat(8_000)}`),
        sized('{"__proto__":{"a":1}}'),
      ].map((bytes) => bytes.replace('\r\n', '\r\nConnection: close\r\n')),
      ending: '400',
    },
  };
}

function readerClients(request: string): Record<string, ClientKind> {
  return {
    slowReaders: {
      clients: 10,
      bytes: [request],
      drip: request.repeat(4),
      unread: true,
      ending: 'closed',
    },
  };
}

/** The status of the last reply; `closed` without one, `left-open` if the server never closed. */
async function endOf(socket: Socket, { drip, unread }: ClientKind, bytes: string): Promise<string> {
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let text = '';
  if (unread) socket.pause();
  else {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
  }
  if (bytes !== '') socket.write(bytes, 'latin1');
  const dripping = drip && setInterval(() => socket.write(drip), dripEveryMs);
  const limit = setTimeout(() => {
    text = 'HTTP/1.1 left-open ';
    socket.destroy();
  }, patienceMs);
  await closed;
  if (dripping) clearInterval(dripping);
  clearTimeout(limit);
  return [...text.matchAll(/HTTP\/1\.1 (\S+) /g)].at(-1)?.[1] ?? 'closed';
}
