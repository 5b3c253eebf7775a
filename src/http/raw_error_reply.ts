/**
 * Replies on a bare socket, for bytes that are not a request, come too late or are too many: node has no
 * response object for these. The socket accepts no further request.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';
import { isKnownMethod, targetTooLong, unknownMethod } from './request.ts';

const requestLine = /^([\w!#$%&'*+.^`|~-]{1,32}) [!-~]+ HTTP\/1\.[01]\r\n/;

/** Returns the refusal for an error of node's parser, which adds the packet with the error. */
export function wireRefusal(
  error: NodeJS.ErrnoException & { rawPacket?: Buffer },
  targetLength: number,
): Refusal {
  const packet = error.rawPacket?.toString('latin1') ?? '';
  if (error.code === 'HPE_INVALID_METHOD') {
    const [, method] = requestLine.exec(packet) ?? [];
    // A known method belongs to an earlier request of the packet.
    if (method !== undefined && !isKnownMethod(method)) return unknownMethod();
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    const [, target = ''] = /^[A-Z]+ ([!-~]+)/.exec(packet) ?? [];
    if (target.length > targetLength) return targetTooLong(targetLength);
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
    detail: 'Cannot read the request: it is not valid HTTP/1.1',
    cause: error,
  });
}

/** Returns a reply as HTTP/1.1 text. */
export function replyBytes({ status, headers: own, body }: Reply, requestId: string): string {
  const headers = {
    ...own,
    'content-length': Buffer.byteLength(body ?? ''),
    'x-request-id': requestId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body ?? ''}`;
}

/** Sends the last bytes, if any, and closes the socket; the client has `lingerMs` to read them. */
export function endSocket(
  socket: Socket,
  { bytes = '', lingerMs }: { bytes?: string; lingerMs: number },
): void {
  if (socket.destroyed) return;
  socket.end(bytes);
  // Further bytes are read and dropped: unread bytes would reset the connection.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}
