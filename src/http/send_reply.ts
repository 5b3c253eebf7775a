/**
 * Writes a reply, also when the client is still sending its request: to close a socket with unread bytes
 * would reset it, and the reset can overtake the reply.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Reply } from '../kernel/ports.ts';
import type { RawExchange } from './client_connection.ts';
import type { RawHeaders } from './header_values.ts';
import type { StreamedBody } from './streamed_body.ts';

export type SendOptions = {
  /** The body of a reply with a stream; null for HEAD. */
  stream: StreamedBody | null;
  /** Headers of every reply; no reply sets one of them itself. */
  headers: RawHeaders;
  /** Whether the connection ends with this reply. */
  close: boolean;
  /** How long a client may continue to send a body that is not read. */
  lingerMs: number;
  /** How long a client may take to receive the next part of a stream. */
  receiveMs: number;
  /** How long a client may take to receive a stream. */
  streamMs: number;
};

/** Writes a reply. What the system does not take at once stays in the process. */
export async function sendReply(
  { incoming, outgoing, connection }: RawExchange,
  reply: Reply,
  options: SendOptions,
): Promise<void> {
  outgoing.writeHead(reply.status, headersOf(reply, options));
  if (options.stream) await options.stream.send(outgoing, connection, options);
  const text = incoming.method === 'HEAD' ? '' : (reply.body ?? '');
  if (!incoming.complete) {
    if (text === '') outgoing.flushHeaders();
    else outgoing.write(text);
    await rest(incoming, options.lingerMs);
    outgoing.end();
  } else {
    outgoing.end(text);
  }
}

/** Whether the system has taken the whole reply; for most it has, at once. */
export function isSent({ writableEnded, writableLength }: ServerResponse): boolean {
  return writableEnded && writableLength === 0;
}

/** A list of name, value, name, value …: node would copy an object, and this runs for each reply. */
function headersOf({ status, headers = {}, body, stream }: Reply, options: SendOptions): string[] {
  const lines = [...options.headers];
  let type = 'application/json';
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (name === 'content-type') type = value;
    else lines.push(name, value);
  }
  // 204 and 304 have neither header (RFC 9110, sections 8.6 and 15.4.5).
  if (status !== 204 && status !== 304) {
    lines.push('content-type', type);
    if (!stream) lines.push('content-length', String(Buffer.byteLength(body ?? '')));
  }
  // Node itself closes after HTTP/1.0, and when the client asks for it.
  if (options.close) lines.push('connection', 'close');
  return lines;
}

/** Reads and drops the rest of the request, for at most `lingerMs`. */
function rest(incoming: IncomingMessage, lingerMs: number): Promise<void> {
  if (incoming.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, lingerMs);
    incoming.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    incoming.resume();
  });
}
