/**
 * The listening end: `node:http` with every limit set, and answers of ours where node would send a
 * bare line. It hands requests to `exchange.ts` and knows which connections are open, to drain them.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Refusal } from '../kernel/errors.ts';
import { boundedRequest } from './bounded_request.ts';
import type { Connection, RawExchange } from './client_connection.ts';
import { ConnectionTable } from './connection_table.ts';
import {
  type ExchangeLimits,
  type ExchangeParts,
  exchange,
  newTrace,
  type ServerState,
} from './exchange.ts';
import { problem } from './problem.ts';
import { endSocket, replyBytes, wireRefusal } from './raw_error_reply.ts';
import { Turn } from './turn.ts';
import { UnreadReplies } from './unread_replies.ts';

export type HttpLimits = ExchangeLimits & {
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

export type HttpServerParts = ExchangeParts & { limits: HttpLimits };

// Between two looks at connections that fell idle while the server drains.
const idleCheckMs = 50;

export class HttpServer {
  readonly #parts: HttpServerParts & ServerState;
  readonly #server: Server;
  readonly #connections: ConnectionTable;
  readonly #unread: UnreadReplies;

  constructor(parts: HttpServerParts) {
    this.#unread = new UnreadReplies(parts.limits.unread);
    const closing = () => !this.#server.listening;
    this.#parts = { ...parts, turn: new Turn(), unread: this.#unread, closing };
    this.#connections = new ConnectionTable(parts.limits.connections);
    this.#server = this.#createServer(parts);
  }

  get stats() {
    return { connections: this.#connections.size, unreadBytes: this.#unread.bytes };
  }

  /**
   * Listens and tells the URL; port 0 picks a free one.
   *
   * @throws {Error} what node says when it cannot listen.
   */
  async listen(host: string, port: number): Promise<string> {
    this.#server.listen(port, host, this.#parts.limits.backlog);
    await once(this.#server, 'listening');
    // Node emits what goes wrong in an accept, such as too many open files; that must not end us.
    this.#server.on('error', (error) => this.#parts.onInternalError(error, null));
    return urlOf(this.#server.address());
  }

  /**
   * Takes no new connection and resolves when the others are closed: each with the reply to its next
   * request, which says so, or once it is idle after `idleMs`. After `limitMs` what is left is cut off.
   */
  async drain(limitMs: number, idleMs = 0): Promise<void> {
    // Right after node has accepted what was waiting: a close resets what it has not accepted yet.
    await setImmediate();
    const closed = this.#closeListener();
    let idleCheck: NodeJS.Timeout | undefined;
    const idle = setTimeout(() => {
      idleCheck = setInterval(() => this.#closeIdle(), idleCheckMs);
    }, idleMs);
    const limit = setTimeout(() => this.#cutOff(), limitMs);
    await closed;
    for (const timer of [idle, idleCheck, limit]) clearTimeout(timer);
    // What node's own `close` also does: it ends the look for requests that take too long.
    this.#server.close();
  }

  /**
   * Node's own `close` of an HTTP server closes idle connections, too. A proxy may have sent its next
   * request on one of them, and must not send a POST again.
   */
  #closeListener(): Promise<void> {
    return new Promise((resolve) => {
      NetServer.prototype.close.call(this.#server, () => resolve());
    });
  }

  #createServer(parts: HttpServerParts): Server {
    const { limits } = parts;
    const server = createServer({
      IncomingMessage: boundedRequest((socket) => this.#isFull(socket)),
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      keepAliveTimeout: limits.keepAliveMs,
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
      this.#refuse(socket, wireRefusal(error, limits.targetLength)),
    );
    // Of these two node keeps nothing: the socket is ours.
    server.on('connect', (_, socket) => this.#refuse(socket, noTunnel()));
    server.on('upgrade', (_, socket) => this.#takeNoMore(socket));
    return server;
  }

  /** Whether what comes on this socket must not be answered, nor even be made a request of. */
  #isFull(socket: Socket): boolean {
    const connection = this.#connections.get(socket);
    return !connection?.acceptsRequests || connection.running >= this.#parts.limits.pipelined;
  }

  async #answer(raw: RawExchange): Promise<void> {
    const { incoming, connection } = raw;
    // Nothing is read any more, or what comes would pile up until the last reply is ready.
    if (!connection.acceptsRequests) return this.#takeNoMore(incoming.socket);
    try {
      await exchange(raw, this.#parts);
    } catch (error) {
      this.#parts.onInternalError(error, null);
      incoming.socket.destroy();
    }
    this.#connections.fellIdle(connection);
    this.#endIfOver(connection);
  }

  /** The replies that are owed still go out. */
  #takeNoMore(duplex: Duplex): void {
    duplex.pause();
    const connection = this.#connections.get(duplex);
    connection?.stopAccepting();
    if (connection) this.#endIfOver(connection);
  }

  /** A running request learns of it and answers itself; else the bare socket is answered. */
  #refuse(duplex: Duplex, refusal: Refusal): void {
    const connection = this.#connections.get(duplex);
    // The parser stumbles over every further chunk; the first time is enough.
    if (!connection || connection.refusal) return;
    connection.abort(refusal);
    this.#endIfOver(connection);
  }

  /** Ends a connection that takes no more, once no reply is owed or on its way. */
  #endIfOver(connection: Connection): void {
    const { socket, running, acceptsRequests: takesMore, refusal } = connection;
    if (takesMore || running > 0) return;
    if (socket.bytesRead === 0) socket.destroy();
    const unanswered = refusal && socket.writable ? refusal : null;
    const bytes = unanswered ? this.#answerBare(connection, unanswered) : '';
    endSocket(socket, { bytes, lingerMs: this.#parts.limits.lingerMs });
  }

  #answerBare({ peer: address }: Connection, refusal: Refusal): string {
    const trace = newTrace(this.#parts.newId());
    const reply = problem(refusal, trace.requestId);
    this.#parts.observe({ method: '-', trace, status: reply.status, durationMs: 0, address });
    return replyBytes(reply, trace.requestId);
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
