/**
 * The HTTP server: `node:http` with every limit set, and problems where node would send a bare status
 * line. It passes requests to `exchange.ts`, and keeps the table of open connections, to drain them.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Refusal } from '../kernel/errors.ts';
import { boundedRequest } from './bounded_request.ts';
import type { ClientConnection, RawExchange } from './client_connection.ts';
import { ConnectionTable } from './connection_table.ts';
import {
  type ExchangeLimits,
  type ExchangeParts,
  exchange,
  newRecord,
  type ServerState,
} from './exchange.ts';
import { problem } from './problem.ts';
import { endSocket, replyBytes, wireRefusal } from './raw_error_reply.ts';
import { Turn } from './turn.ts';
import { UnreadReplies } from './unread_replies.ts';

export type HttpLimits = ExchangeLimits & {
  /** All header lines together; enforced by node's parser. */
  headerBytes: number;
  /** From the connection, or the first byte of a request, to the end of its headers. */
  headersMs: number;
  /** From the first byte of a request to the end of its body. */
  requestMs: number;
  /** How often the two limits above are checked. */
  timeoutCheckMs: number;
  /** How long a connection may stay open between requests. */
  keepAliveMs: number;
  /** The maximum number of connections that wait to be accepted; the system may allow fewer. */
  backlog: number;
  /** Past this number, the connection that has been idle for longest is closed for a new one. */
  connections: number;
};

export type HttpServerParts = ExchangeParts & { limits: HttpLimits };

// How often a draining server closes idle connections.
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

  /** The number of open connections, and the memory of replies that clients have not read yet, in bytes. */
  get stats() {
    return { connections: this.#connections.size, unreadBytes: this.#unread.bytes };
  }

  /**
   * Listens, and returns the URL. Port 0 picks a free port.
   *
   * @throws {Error} node's error when it cannot listen.
   */
  async listen(host: string, port: number): Promise<string> {
    this.#server.listen(port, host, this.#parts.limits.backlog);
    await once(this.#server, 'listening');
    // Errors of an accept, such as too many open files, must not end the process.
    this.#server.on('error', (error) => this.#parts.onInternalError(error, null));
    return urlOf(this.#server.address());
  }

  /**
   * Accepts no new connection, and resolves when all are closed: each with the reply to its next request,
   * or when it is idle after `idleMs`. After `limitMs` the rest is destroyed.
   */
  async drain(limitMs: number, idleMs = 0): Promise<void> {
    // First let node accept the waiting connections: a close would reset them.
    await setImmediate();
    const closed = this.#closeListener();
    let idleCheck: NodeJS.Timeout | undefined;
    const idle = setTimeout(() => {
      // Sockets are read first: after a stall of this process their next requests may wait there already.
      idleCheck = setInterval(() => setImmediate().then(() => this.#closeIdle()), idleCheckMs);
    }, idleMs);
    const limit = setTimeout(() => this.#destroyAll(), limitMs);
    await closed;
    for (const timer of [idle, idleCheck, limit]) clearTimeout(timer);
    // Also ends node's timer that looks for slow requests.
    this.#server.close();
  }

  /**
   * Closes the listening socket only. The `close` of node's HTTP server also closes idle connections: a
   * proxy may have sent its next request on one of them, and must not send a POST again.
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
      // Node's reply to a missing Host is a bare line; `readHead` refuses it with a problem.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    // Node would drop further lines silently; `readHead` counts them and refuses the request.
    server.maxHeadersCount = 0;
    server.on('connection', (socket) => this.#connections.admit(socket));
    server.on('request', (incoming, outgoing) => {
      const connection = this.#connections.get(incoming.socket);
      if (connection) void this.#answer({ incoming, outgoing, connection, nextBegunAt: null });
    });
    // Node would send `100 Continue` before the headers are checked.
    server.on('checkContinue', (incoming, outgoing) => {
      server.emit('request', incoming, outgoing);
    });
    // An unknown expectation may be ignored (RFC 9110, 10.1.1); node would reply with a bare 417.
    server.on('checkExpectation', (incoming, outgoing) => {
      server.emit('request', incoming, outgoing);
    });
    server.on('clientError', (error, socket) =>
      this.#refuse(socket, wireRefusal(error, limits.targetLength)),
    );
    // After these two events the socket is ours: node no longer uses it.
    server.on('connect', (_, socket) => this.#refuse(socket, noTunnel()));
    server.on('upgrade', (_, socket) => this.#stopAccepting(socket));
    return server;
  }

  /** Whether further requests on this socket must neither be parsed nor answered. */
  #isFull(socket: Socket): boolean {
    const connection = this.#connections.get(socket);
    return !connection?.acceptsRequests || connection.running >= this.#parts.limits.pipelined;
  }

  async #answer(raw: RawExchange): Promise<void> {
    const { incoming, connection } = raw;
    // Stops reading; otherwise requests would pile up until the last reply is ready.
    if (!connection.acceptsRequests) return this.#stopAccepting(incoming.socket);
    try {
      await exchange(raw, this.#parts);
    } catch (error) {
      this.#parts.onInternalError(error, null);
      // HTTP/1.0 would take a body that ends with its connection for whole.
      incoming.socket.resetAndDestroy();
    }
    this.#connections.markIdle(connection);
    this.#closeIfDone(connection);
  }

  /** Reads nothing more. Replies to running requests are still sent. */
  #stopAccepting(duplex: Duplex): void {
    duplex.pause();
    const connection = this.#connections.get(duplex);
    connection?.stopAccepting();
    if (connection) this.#closeIfDone(connection);
  }

  /** A running request replies with the refusal; without one, the bare socket gets the reply. */
  #refuse(duplex: Duplex, refusal: Refusal): void {
    const connection = this.#connections.get(duplex);
    // The parser emits the error again for every further chunk; the first one is enough.
    if (!connection || connection.refusal) return;
    connection.abort(refusal);
    this.#closeIfDone(connection);
  }

  /** Closes a connection that accepts no requests, once its last reply is sent. */
  #closeIfDone(connection: ClientConnection): void {
    const { socket, running, acceptsRequests, refusal } = connection;
    if (acceptsRequests || running > 0) return;
    if (socket.bytesRead === 0) socket.destroy();
    const unanswered = refusal && socket.writable ? refusal : null;
    const bytes = unanswered ? this.#answerBare(connection, unanswered) : '';
    endSocket(socket, { bytes, lingerMs: this.#parts.limits.lingerMs });
  }

  #answerBare({ peer: address }: ClientConnection, refusal: Refusal): string {
    const record = newRecord(this.#parts.newId());
    const reply = problem(refusal, record.requestId);
    this.#parts.observe({ method: '-', record, status: reply.status, durationMs: 0, address });
    return replyBytes(reply, record.requestId);
  }

  /** For node, a connection that never sent a byte is busy until `headersTimeout`. */
  #closeIdle(): void {
    this.#server.closeIdleConnections();
    for (const { socket } of this.#connections.all()) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  }

  #destroyAll(): void {
    for (const { socket, running } of this.#connections.all()) {
      // HTTP/1.0 would take a body that ends with its connection for whole.
      if (running > 0) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

function noTunnel(): Refusal {
  return new Refusal('malformed', { detail: 'Cannot open a tunnel: this server is not a proxy' });
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return address ?? '';
  const { address: ip, family, port } = address;
  return `http://${family === 'IPv6' ? `[${ip}]` : ip}:${port}`;
}
