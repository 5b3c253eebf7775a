/**
 * Hands a reply to the client, also when the client is still sending: closing a socket with unread
 * bytes resets it, and a reset can overtake the reply. And a client that does not read is cut off.
 */
import type { IncomingMessage } from 'node:http';
import type { Reply } from '../kernel/ports.ts';
import type { RawExchange } from './client_connection.ts';
import type { RawHeaders } from './header_values.ts';

export type SendOptions = {
  /** Headers of every reply; a reply names none of them itself. */
  headers: RawHeaders;
  /** Whether the connection ends with this reply. */
  close: boolean;
  /** How long a client may go on sending a body that nobody reads. */
  lingerMs: number;
  /** How long a client may take to receive the reply. */
  receiveMs: number;
};

/** Sends a reply; resolves when all of it has left the process, or the connection is closed. */
export async function sendReply(
  { incoming, outgoing, connection }: RawExchange,
  reply: Reply,
  options: SendOptions,
): Promise<void> {
  outgoing.writeHead(reply.status, headersOf(reply, options));
  const text = incoming.method === 'HEAD' ? '' : (reply.body ?? '');
  if (!incoming.complete) {
    if (text === '') outgoing.flushHeaders();
    else outgoing.write(text);
    await rest(incoming, options.lingerMs);
    outgoing.end();
  } else {
    outgoing.end(text);
  }
  return connection.untilSent(outgoing, options.receiveMs);
}

/** Names and values in turn: node takes them as they are, where it would copy an object's. */
function headersOf({ status, headers = {}, body }: Reply, options: SendOptions): string[] {
  const lines = [...options.headers];
  let type = 'application/json';
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (name === 'content-type') type = value;
    else lines.push(name, value);
  }
  // A 204 and a 304 have neither (RFC 9110, sections 8.6 and 15.4.5).
  if (status !== 204 && status !== 304) {
    lines.push('content-type', type, 'content-length', String(Buffer.byteLength(body ?? '')));
  }
  // Node closes by itself after HTTP/1.0, and when the client asked for it.
  if (options.close) lines.push('connection', 'close');
  return lines;
}

/** Reads and drops what is left of the request, until it ends or the time is up. */
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
