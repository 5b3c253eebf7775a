/**
 * Connections that no proper client would make: pieces of requests, good and bad, in any order, cut
 * anywhere, and ended in any way. The same seed makes the same connections.
 */
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { choose } from '../support/random.ts';

type Random = () => number;

const host = 'Host: a\r\n';
const post = `POST / HTTP/1.1\r\n${host}Content-Type: application/json\r\n`;
const tenant = `X-Tenant-ID: 0190b0b0-0000-7000-8000-000000000001\r\n`;

const pieces: readonly string[] = [
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'BREW'].map(
    (method) => `${method} / HTTP/1.1\r\n${host}\r\n`,
  ),
  `GET / HTTP/1.0\r\n${host}\r\n`,
  `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  `GET /page?limit=4 HTTP/1.1\r\n${host}${tenant}\r\n`,
  `GET / HTTP/1.1\r\n\r\n`,
  `GET //a HTTP/1.1\r\n${host}\r\n`,
  `${post}Content-Length: 2\r\n\r\n{}`,
  `${post}Content-Length: 9\r\n\r\n{}`,
  `${post}Content-Length: 99999\r\n\r\n{}`,
  `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
  `${post}Transfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  `${post}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}`,
  `${post}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
  `${post}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}`,
  `CONNECT a:1 HTTP/1.1\r\n${host}\r\n`,
  `CONNECT a:1 HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
  `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  `GET / HTTP/1.1\r\n${host}A: ${'b'.repeat(9_000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(200)}\r\n`,
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '\r\n\r\n',
  '\0',
];

const endings = ['reset', 'destroy', 'half close', 'read', 'no read'] as const;

/** The longest time after which the server ends one of these connections. */
const patienceMs = 300;

/** Makes one connection and ends it; resolves when it is closed. */
export async function fuzz(port: number, random: Random): Promise<void> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const patience = setTimeout(() => socket.destroy(), patienceMs);
  const ending = choose(endings, random);
  if (ending !== 'no read') socket.resume();
  await send(socket, bytesOf(random), random);
  for (let turns = Math.floor(random() * 4); turns > 0; turns -= 1) await nextTurn();
  if (ending === 'reset') socket.resetAndDestroy();
  if (ending === 'destroy') socket.destroy();
  if (ending === 'half close') socket.end();
  await closed;
  clearTimeout(patience);
}

/** Up to 40 pieces, most of them good; the server seldom reads the pieces behind a bad one. */
function bytesOf(random: Random): Buffer {
  const good = pieces[0] ?? '';
  const count = 1 + Math.floor(random() ** 2 * 40);
  const parts = Array.from({ length: count }, () =>
    random() < 0.5 ? good : choose(pieces, random),
  );
  const bytes = Buffer.from(parts.join(''), 'latin1');
  // Sometimes one wrong byte.
  if (random() < 0.2) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return random() < 0.2 ? bytes.subarray(0, Math.ceil(random() * bytes.length)) : bytes;
}

/** In one packet, or in two that the server reads separately. */
async function send(socket: Socket, bytes: Buffer, random: Random): Promise<void> {
  const cut = random() < 0.7 ? bytes.length : Math.floor(random() * bytes.length);
  socket.write(bytes.subarray(0, cut));
  if (cut === bytes.length) return;
  await nextTurn();
  await nextTurn();
  socket.write(bytes.subarray(cut));
}
