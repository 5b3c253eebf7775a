/**
 * Answers on a bare socket, where node has no response to offer: for bytes that are no request, came
 * too late or were too many. The socket takes no further request.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';

/** What node's parser found wrong, as a refusal. */
export function wireRefusal(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new Refusal('headers_too_large', {
      detail: 'Cannot read the request: its headers are too large',
      cause: error,
    });
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new Refusal('request_timeout', {
      detail: 'Cannot read the request: it did not arrive in time',
      cause: error,
    });
  }
  return new Refusal('malformed', {
    detail: 'Cannot read the request: it is no valid HTTP/1.1',
    cause: error,
  });
}

/** Writes the reply and closes, leaving the client `lingerMs` to read it. */
export function refuseSocket(
  socket: Socket,
  reply: Reply,
  options: { requestId: string; lingerMs: number },
): void {
  const body = reply.body ?? '';
  const headers = {
    ...reply.headers,
    'content-length': Buffer.byteLength(body),
    'x-request-id': options.requestId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const { status } = reply;
  // The client may be gone by now, and nobody else listens on a socket that left node's hands.
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
  // What the client still sends is read and dropped: unread bytes would reset the connection.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), options.lingerMs);
  socket.once('close', () => clearTimeout(timer));
}
