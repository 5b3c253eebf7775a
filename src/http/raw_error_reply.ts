/**
 * Answers on a bare socket, where node has no response to offer: for bytes that are no request, came
 * too late or were too many. The socket takes no further request.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Refusal } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';
import { isKnownMethod, targetTooLong, unknownMethod } from './request.ts';

const requestLine = /^([\w!#$%&'*+.^`|~-]{1,32}) [!-~]+ HTTP\/1\.[01]\r\n/;

/** What node's parser found wrong, as a refusal; it adds the packet in which it found it. */
export function wireRefusal(
  error: NodeJS.ErrnoException & { rawPacket?: Buffer },
  targetLength: number,
): Refusal {
  const packet = error.rawPacket?.toString('latin1') ?? '';
  if (error.code === 'HPE_INVALID_METHOD') {
    const [, method] = requestLine.exec(packet) ?? [];
    // A known one stands before the request that was not understood.
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
    detail: 'Cannot read the request: it is no valid HTTP/1.1',
    cause: error,
  });
}

/** A reply as the text that goes over the wire. */
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

/** Sends last bytes, if there are any, and closes, leaving the client `lingerMs` to read them. */
export function endSocket(
  socket: Socket,
  { bytes = '', lingerMs }: { bytes?: string; lingerMs: number },
): void {
  if (socket.destroyed) return;
  socket.end(bytes);
  // What the client still sends is read and dropped: unread bytes would reset the connection.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}
