/**
 * The listening end: `node:http` with every limit set, and answers of ours where node would send a
 * bare line. It hands requests to `exchange.ts` and knows which connections are open, to drain them.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Refusal } from '../kernel/errors.ts';
import { Connections } from './connections.ts';
import {
  type ExchangeBounds,
  type ExchangeParts,
  exchange,
  newTrace,
  type ServerState,
  type Wire,
} from './exchange.ts';
import { problem } from './problem.ts';
import { refuseSocket, wireRefusal } from './refuse_socket.ts';
import { Turn } from './turn.ts';

export type HttpBounds = ExchangeBounds & {
  /** All header lines together; node's parser holds it. */
  headerBytes: number;
  /** From the connection, or the first byte of a request, to the end of its headers. */
  headersMs: number;
  /** To the end of the body. */
  requestMs: number;
  /** How often the two times above are looked at. */
  timeoutCheckMs: number;
  /** How long a connection may stay open between requests. */
  keepAliveMs: number;
  /** The most connections that wait to be accepted; the system may allow fewer. */
  backlog: number;
  /** Beyond it, the one that has been idle for longest is closed for a new one. */
  connections: number;
};

export type HttpServerParts = ExchangeParts & { bounds: HttpBounds };

// Between two looks at connections that fell idle while the server drains. The first look is not at
// once: the first request of a new connection may be on its way.
const idleCheckMs = 50;

export class HttpServer {
  readonly #parts: HttpServerParts & ServerState;
  readonly #server: Server;
  readonly #connections: Connections;

  constructor(parts: HttpServerParts) {
    this.#parts = { ...parts, turn: new Turn(), closing: () => !this.#server.listening };
    this.#connections = new Connections(parts.bounds.connections);
    this.#server = this.#createServer(parts);
  }

  /**
   * Listens and tells the URL; port 0 picks a free one.
   *
   * @throws {Error} what node says when it cannot listen.
   */
  async listen(host: string, port: number): Promise<string> {
    this.#server.listen(port, host, this.#parts.bounds.backlog);
    await once(this.#server, 'listening');
    // Node emits what goes wrong in an accept, such as too many open files; that must not end us.
    this.#server.on('error', (error) => this.#parts.onInternalError(error, null));
    return urlOf(this.#server.address());
  }

  /**
   * Takes no new connection, closes the idle ones, lets running requests finish and tells their
   * clients to go; after `limitMs` what is left is cut off.
   */
  async drain(limitMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const idleCheck = setInterval(() => this.#closeIdle(), idleCheckMs);
    const limit = setTimeout(() => this.#cutOff(), limitMs);
    await closed;
    clearInterval(idleCheck);
    clearTimeout(limit);
  }

  #createServer(parts: HttpServerParts): Server {
    const { bounds } = parts;
    const server = createServer({
      maxHeaderSize: bounds.headerBytes,
      headersTimeout: bounds.headersMs,
      requestTimeout: bounds.requestMs,
      connectionsCheckingInterval: bounds.timeoutCheckMs,
      keepAliveTimeout: bounds.keepAliveMs,
      // Node's own answer to a missing Host is a bare line; `readHead` refuses it with a problem.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    // Node would drop further lines in silence; `readHead` counts them and refuses.
    server.maxHeadersCount = 0;
    server.on('connection', (socket) => this.#connections.admit(socket));
    server.on('request', (incoming, outgoing) => {
      const connection = this.#connections.get(incoming.socket);
      if (connection) void this.#answer({ incoming, outgoing, connection });
    });
    // Node would ask for the body before anybody has looked at the head.
    server.on('checkContinue', (incoming, outgoing) => {
      server.emit('request', incoming, outgoing);
    });
    // An expectation that nobody knows may be passed over (RFC 9110, 10.1.1); node's own 417 is bare.
    server.on('checkExpectation', (incoming, outgoing) => {
      server.emit('request', incoming, outgoing);
    });
    server.on('clientError', (error, socket) =>
      this.#refuse(socket, wireRefusal(error, bounds.targetLength)),
    );
    server.on('connect', (_, socket) => this.#refuse(socket, noTunnel()));
    return server;
  }

  async #answer(wire: Wire): Promise<void> {
    const { incoming, connection } = wire;
    if (!connection.takesMore) {
      // Nothing is read any more, or what comes would pile up until the last reply is ready.
      incoming.socket.pause();
      return;
    }
    try {
      await exchange(wire, this.#parts);
    } catch (error) {
      this.#parts.onInternalError(error, null);
      incoming.socket.destroy();
    }
    this.#connections.fellIdle(connection);
  }

  /** A running request learns of it and answers itself; else the bare socket is answered. */
  #refuse(duplex: Duplex, refusal: Refusal): void {
    const connection = this.#connections.get(duplex);
    // The parser stumbles over every further chunk; the first time is enough.
    if (!connection || connection.broken.aborted) return;
    const { socket, peer: address } = connection;
    connection.breakOff(refusal);
    if (connection.running > 0) return;
    if (!socket.writable || socket.bytesRead === 0) {
      socket.destroy();
      return;
    }
    const trace = newTrace(this.#parts.newId());
    const reply = problem(refusal, trace.requestId);
    this.#parts.observe({ method: '-', trace, status: reply.status, durationMs: 0, address });
    const { lingerMs } = this.#parts.bounds;
    refuseSocket(socket, reply, { requestId: trace.requestId, lingerMs });
  }

  /** To node a connection that never sent a byte is busy, until its headers are overdue. */
  #closeIdle(): void {
    this.#server.closeIdleConnections();
    for (const { socket } of this.#connections.all()) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  }

  #cutOff(): void {
    for (const { socket } of this.#connections.all()) socket.destroy();
  }
}

function noTunnel(): Refusal {
  return new Refusal('malformed', { detail: 'Cannot open a tunnel: this is no proxy' });
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return address ?? '';
  const { address: ip, family, port } = address;
  return `http://${family === 'IPv6' ? `[${ip}]` : ip}:${port}`;
}
