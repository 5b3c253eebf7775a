/**
 * One request and its reply. Each request is observed once and answered once: a `Refusal` becomes its
 * problem, any other error becomes `internal`.
 */
import type { BlockList } from 'node:net';
import { Refusal } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';
import { type BodyLimits, readJson } from './body.ts';
import type { ClientConnection, RawExchange } from './client_connection.ts';
import type { RawHeaders } from './header_values.ts';
import { problem, refusalFrom } from './problem.ts';
import { rateLimitHeaders } from './rate_limit_headers.ts';
import {
  expectsContinue,
  type HttpRequest,
  isLastRequest,
  readHead,
  requestIdOf,
} from './request.ts';
import { isSent, sendReply } from './send_reply.ts';
import { StreamedBody } from './streamed_body.ts';
import type { Turn } from './turn.ts';
import type { UnreadLimits, UnreadReplies } from './unread_replies.ts';

/** A request and how it ended, for the log, the metrics and explanations. */
export type FinishedRequest = {
  method: string;
  record: RequestRecord;
  /** The status sent, or 499 when the client had closed the connection. */
  status: number;
  durationMs: number;
  /** The client's IP address. */
  address: string;
};

export type ExchangeLimits = {
  /** The longest request target, in characters. */
  targetLength: number;
  /** The maximum number of header lines. */
  headerLines: number;
  body: BodyLimits;
  /** The maximum number of requests on one connection without a sent reply. */
  pipelined: number;
  unread: UnreadLimits;
  /** How long a client may continue to send a body that is not read. */
  lingerMs: number;
  /** How long a client may take to receive its reply, or the next part of a stream. */
  receiveMs: number;
  /** How long a client may take to receive a stream. */
  streamMs: number;
};

/** The parts that the composition root provides. */
export type ExchangeParts = {
  handle(request: HttpRequest, record: RequestRecord): Promise<Reply>;
  observe(finished: FinishedRequest): void;
  /** Called first, so that a trace of the request can begin. */
  begin?(record: RequestRecord, headers: RawHeaders, startedMs: number): void;
  /** Receives errors whose text must not reach the client. The id is null without a request. */
  onInternalError(error: unknown, requestId: string | null): void;
  /** Receives the cause of `unavailable`, which is not told to the client. */
  onUnavailable(cause: unknown): void;
  newId(): string;
  nowMs(): number;
  trustedProxies: BlockList;
  limits: ExchangeLimits;
};

// Nginx's status for a client that closed the connection early. It is logged and never sent.
const clientGone = 499;

/** Returns the record of a request that has passed no stage yet. */
export function newRecord(requestId: string): RequestRecord {
  return { requestId, endpoint: 'unmatched', tenant: null, caller: null, rateLimit: null };
}

/** The server's own state. */
export type ServerState = {
  /** Whether the server wants connections to end. */
  closing(): boolean;
  turn: Turn;
  unread: UnreadReplies;
};

/** Answers one request, at the end of the event loop's turn in which the reply is known. */
export async function exchange(
  raw: RawExchange,
  parts: ExchangeParts & ServerState,
): Promise<void> {
  const { incoming, connection } = raw;
  const { nowMs } = parts;
  const startedMs = nowMs();
  const record = newRecord(requestIdOf(incoming.rawHeaders, parts.newId));
  parts.begin?.(record, incoming.rawHeaders, startedMs);
  connection.begin(raw);
  const { head, ...prepared } = await handleInOrder(raw, record, parts);
  const { reply, stream } = prepared;
  // A stream continues to read while it is sent.
  if (head && !stream) connection.order.leave();
  // Only then does node set `incoming.complete`, even when the request came in one packet.
  await parts.turn.ended();
  const gone = connection.socket.destroyed;
  parts.observe({
    method: incoming.method ?? '',
    record,
    status: gone ? clientGone : reply.status,
    durationMs: nowMs() - startedMs,
    address: head?.address ?? connection.peer,
  });
  if (gone) await stream?.discard();
  else await deliver(raw, prepared, { record, parts });
  if (head && stream) connection.order.leave();
  connection.end();
}

/** A reply that is not sent yet, and its body if that is a stream. */
type PreparedReply = { reply: Reply; stream: StreamedBody | null };

/** Sends the reply. A reply that the system does not take at once counts as unread until it has. */
async function deliver(
  raw: RawExchange,
  { reply, stream }: PreparedReply,
  { record, parts }: { record: RequestRecord; parts: ExchangeParts & ServerState },
): Promise<void> {
  const { incoming, outgoing, connection } = raw;
  const { lingerMs, receiveMs, streamMs } = parts.limits;
  // All further bytes on this connection belong to a body that is not read.
  if (!incoming.complete) connection.stopAccepting();
  const ending = !connection.acceptsRequests || parts.closing();
  const close = ending && connection.isLatest(raw);
  const headers = commonHeaders(record);
  const options = { headers, stream, close, lingerMs, receiveMs, streamMs };
  const sending = sendReply(raw, reply, options);
  // An ending connection waits for node, which closes it when it emits `finish`.
  if (!ending && isSent(outgoing)) return sending;
  const read = parts.unread.add(connection, holderOf(record, reply), sizeOf(reply));
  try {
    await sending;
    await connection.untilSent(outgoing, receiveMs);
  } finally {
    read();
  }
}

/**
 * Unread replies are counted by tenant. Without a tenant they are counted by endpoint and status, so strangers and
 * the operator have separate bounds.
 */
function holderOf({ tenant, endpoint }: RequestRecord, { status }: Reply): string {
  return tenant?.id ?? `${endpoint} ${status}`;
}

/** The maximum memory of a body, as text of two bytes a character. */
function sizeOf({ body }: Reply): number {
  return 2 * (body?.length ?? 0);
}

/**
 * Handles a request when its connection's order of requests allows it, and returns its reply; an error becomes a
 * problem. Nothing else is awaited before the handler is called: the next request may be in the same packet. A
 * request whose head could be read has its place in that order, and the caller must take it out of there.
 */
async function handleInOrder(
  raw: RawExchange,
  record: RequestRecord,
  parts: ExchangeParts,
): Promise<{ head: HttpRequest | null } & PreparedReply> {
  const { incoming, connection } = raw;
  const { limits, trustedProxies } = parts;
  let head: HttpRequest | null = null;
  try {
    const begunAt = incoming.socket.bytesRead;
    head = readHead(incoming, {
      peer: connection.peer,
      trustedProxies,
      limits,
      body() {
        return readBody(raw, limits.body, begunAt);
      },
    });
    if (isLastRequest(incoming.rawHeaders)) connection.stopAccepting();
    const turn = connection.order.enter(head.method);
    if (turn) await untilTurn(turn, connection);
    const reply = await parts.handle(head, record);
    record.trace?.stage('reply');
    const { stream } = reply;
    if (!stream || incoming.method === 'HEAD') return { head, reply, stream: null };
    return { head, reply, stream: await StreamedBody.begin(stream(record.requestId)) };
  } catch (error) {
    // After an invalid head it is not certain where the next request begins.
    if (head === null) connection.stopAccepting();
    const refusal = refusalFrom(error);
    record.trace?.refused(refusal);
    const { code, facts } = refusal;
    if (code === 'internal') parts.onInternalError(causeOf(refusal), record.requestId);
    if (code === 'unavailable' && facts.cause !== undefined) parts.onUnavailable(facts.cause);
    return { head, reply: problem(refusal, record.requestId), stream: null };
  }
}

/** A request that still waits when its connection is closed is not handled. */
async function untilTurn(turn: Promise<void>, { socket }: ClientConnection): Promise<void> {
  await turn;
  if (!socket.destroyed) return;
  throw new Refusal('malformed', { detail: 'The connection ended before the request was handled' });
}

/** @param begunAt as `BodyOptions` has it. */
function readBody(raw: RawExchange, limits: BodyLimits, begunAt: number): Promise<unknown> {
  const { broken } = raw.connection;
  return readJson(raw.incoming, limits, { begunAt, raw, broken, invite: () => invite(raw) });
}

/** Called only when the body is wanted, so that no client uploads a body that is refused anyway. */
function invite({ incoming, outgoing }: RawExchange): void {
  if (expectsContinue(incoming)) outgoing.writeContinue();
}

function causeOf(refusal: Refusal): unknown {
  return refusal.facts.cause ?? refusal;
}

/** The headers of every reply. `no-store` keeps tenants' data out of caches on the way. */
function commonHeaders({ requestId, tenant, rateLimit, headers = [] }: RequestRecord): RawHeaders {
  return [
    'x-request-id',
    requestId,
    'x-content-type-options',
    'nosniff',
    'cache-control',
    'no-store',
    ...(tenant && rateLimit ? rateLimitHeaders(tenant.plan, rateLimit) : []),
    ...headers,
  ];
}
