/**
 * One request and its reply. Whatever happens in between, the request is observed once and answered
 * once: a refusal with its problem, anything else that was thrown with `internal`.
 */
import type { BlockList } from 'node:net';
import type { Refusal } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';
import { type BodyLimits, readJson } from './body.ts';
import type { RawExchange } from './client_connection.ts';
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
import { sendReply } from './send_reply.ts';
import type { Turn } from './turn.ts';
import type { UnreadLimits, UnreadReplies } from './unread_replies.ts';

/** A request that is over, for the log and the metrics. */
export type Finished = {
  method: string;
  trace: RequestRecord;
  /** The status sent, or 499 when the client had gone. */
  status: number;
  durationMs: number;
  address: string;
};

export type ExchangeLimits = {
  /** The longest request target, in characters. */
  targetLength: number;
  /** The most header lines. */
  headerLines: number;
  body: BodyLimits;
  /** The most requests on one connection whose reply has not left. */
  pipelined: number;
  unread: UnreadLimits;
  /** How long a client may go on sending a body that nobody reads. */
  lingerMs: number;
  /** How long a client may take to receive its reply. */
  receiveMs: number;
};

/** What an exchange needs from outside. */
export type ExchangeParts = {
  handle(request: HttpRequest, trace: RequestRecord): Promise<Reply>;
  observe(finished: Finished): void;
  /** Takes what must not reach the client. The id is null when no request is to blame. */
  onInternalError(error: unknown, requestId: string | null): void;
  /** Takes why something was `unavailable`; the client learns only that it was. */
  onUnavailable(cause: unknown): void;
  newId(): string;
  nowMs(): number;
  trustedProxies: BlockList;
  limits: ExchangeLimits;
};

// Nginx's status for a client that closed before it was answered; it is logged and never sent.
const clientGone = 499;

/** A trace of which only the id is known. */
export function newTrace(requestId: string): RequestRecord {
  return { requestId, endpoint: 'unmatched', tenant: null, caller: null, allowance: null };
}

/** What the server adds of its own. */
export type ServerState = {
  /** Whether the server wants connections to end. */
  closing(): boolean;
  turn: Turn;
  unread: UnreadReplies;
};

/** Answers one request, at the end of the turn in which the answer is known. */
export async function exchange(
  raw: RawExchange,
  parts: ExchangeParts & ServerState,
): Promise<void> {
  const { incoming, connection } = raw;
  const { nowMs } = parts;
  const startedMs = nowMs();
  const trace = newTrace(requestIdOf(incoming.rawHeaders, parts.newId));
  connection.begin(incoming);
  const { head, reply } = await answer(raw, trace, parts);
  // Node, too, reports the end of a request only by then, even when it came in one packet.
  await parts.turn.ended();
  const gone = connection.socket.destroyed;
  parts.observe({
    method: incoming.method ?? '',
    trace,
    status: gone ? clientGone : reply.status,
    durationMs: nowMs() - startedMs,
    address: head?.address ?? connection.peer,
  });
  if (!gone) await deliver(raw, reply, { trace, parts });
  connection.end();
}

/** Until the client has read the reply, as far as a sender can tell, it counts as unread. */
async function deliver(
  raw: RawExchange,
  reply: Reply,
  { trace, parts }: { trace: RequestRecord; parts: ExchangeParts & ServerState },
): Promise<void> {
  const { incoming, connection } = raw;
  const { lingerMs, receiveMs } = parts.limits;
  // What else comes on this connection belongs to a body that nobody wants.
  if (!incoming.complete) connection.stopAccepting();
  const ending = !connection.acceptsRequests || parts.closing();
  const close = ending && connection.isLatest(incoming);
  const read = parts.unread.add(connection, holderOf(trace, reply), sizeOf(reply));
  try {
    await sendReply(raw, reply, { headers: commonHeaders(trace), close, lingerMs, receiveMs });
  } finally {
    read();
  }
}

/** Who answers for a reply that is not read. No stranger gets the same one as the operator. */
function holderOf({ tenant, endpoint }: RequestRecord, { status }: Reply): string {
  return tenant?.id ?? `${endpoint} ${status}`;
}

/** The most that a body takes in the process, as text of two bytes a character. */
function sizeOf({ body }: Reply): number {
  return 2 * (body?.length ?? 0);
}

/** Up to the handler without a pause: the next request may stand in the same packet. */
async function answer(
  raw: RawExchange,
  trace: RequestRecord,
  parts: ExchangeParts,
): Promise<{ head: HttpRequest | null; reply: Reply }> {
  const { incoming, connection } = raw;
  const { limits, trustedProxies } = parts;
  let head: HttpRequest | null = null;
  try {
    const body = readBody.bind(null, raw, limits.body, incoming.socket.bytesRead);
    head = readHead(incoming, { peer: connection.peer, trustedProxies, limits, body });
    if (isLastRequest(incoming.rawHeaders)) connection.stopAccepting();
    return { head, reply: await parts.handle(head, trace) };
  } catch (error) {
    // A client whose head made no sense is not trusted to have said where the next request begins.
    if (head === null) connection.stopAccepting();
    const refusal = refusalFrom(error);
    const { code, facts } = refusal;
    if (code === 'internal') parts.onInternalError(causeOf(refusal), trace.requestId);
    if (code === 'unavailable' && facts.cause !== undefined) parts.onUnavailable(facts.cause);
    return { head, reply: problem(refusal, trace.requestId) };
  }
}

/** @param begunAt as `BodyOptions` has it. */
function readBody(raw: RawExchange, limits: BodyLimits, begunAt: number): Promise<unknown> {
  const { broken } = raw.connection;
  return readJson(raw.incoming, limits, { begunAt, broken, invite: () => invite(raw) });
}

/** Not before the body is wanted: a client that waits for this uploads nothing in vain. */
function invite({ incoming, outgoing }: RawExchange): void {
  if (expectsContinue(incoming)) outgoing.writeContinue();
}

function causeOf(refusal: Refusal): unknown {
  return refusal.facts.cause ?? refusal;
}

/** What every reply says. Nothing of a tenant may stay in a cache between client and server. */
function commonHeaders({ requestId, tenant, allowance, headers = [] }: RequestRecord): RawHeaders {
  return [
    'x-request-id',
    requestId,
    'x-content-type-options',
    'nosniff',
    'cache-control',
    'no-store',
    ...(tenant && allowance ? rateLimitHeaders(tenant.plan, allowance) : []),
    ...headers,
  ];
}
