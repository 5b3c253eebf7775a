/** Header lines: too many, too large, too slow, and those that may occur only once. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { assertProblem, assertServing, limit, requestsTo } from './edge.ts';
import { open, parseReply, send, sendBeforeReading, untilClosed } from './raw_client.ts';
import { hasty, startTestServer } from './test_server.ts';

const tested = await startTestServer();
const { get } = requestsTo(tested);

afterEach(() => assertServing(tested));

describe('headers', limit, () => {
  it('above 8 KiB are 431', async () => {
    const reply = await get('/', `Host: a\r\nX-Big: ${'a'.repeat(9_216)}\r\n`);
    assertProblem(reply, 431, 'headers_too_large');
  });
  it('of 5 MB are answered with 431 that the client can read', async () => {
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nX-Big: ';
    const patient = await startTestServer({ lingerMs: 30_000 });
    const reply = await sendBeforeReading(patient.url, head + 'a'.repeat(5_000_000));
    assertProblem(reply, 431, 'headers_too_large');
  });
  it('of too many lines are 431', async () => {
    assertProblem(await get('/', `Host: a\r\n${'A: b\r\n'.repeat(64)}`), 431, 'headers_too_large');
  });
  it('that come too slowly are 408', async () => {
    const reply = await send((await startTestServer(hasty)).url, 'GET / HTTP/1.1\r\nHost: a\r\n');
    assertProblem(reply, 408, 'request_timeout');
  });
  for (const [form, lines] of Object.entries({
    'many duplicates': 'Cookie: a=b\r\n'.repeat(600),
    'many short names': 'A:\r\n'.repeat(4_000),
    'one long name': `${'A'.repeat(9_000)}: b\r\n`,
    'one long Host': `Host: ${'a'.repeat(9_000)}\r\n`,
    'many forwarded hops': `X-Forwarded-For: ${'1.1.1.1, '.repeat(1_000)}\r\n`,
  })) {
    it(`with ${form} are 431`, async () => {
      assertProblem(await get('/', `Host: a\r\n${lines}`), 431, 'headers_too_large');
    });
  }
  for (const line of [
    ...[
      'X : y',
      'X\t: y',
      ': y',
      'X',
      'X Y: z',
      'X(Y): z',
      'X\0: y',
      'X: \0',
      'X: \x01',
      'X: \x7f',
    ],
    ...['X: y\r\n z', 'X: y\r\n\tz', ' X: y', 'X\xe9: y', 'X: y\rZ: z', 'X: y\nZ: z'],
  ]) {
    it(`with ${JSON.stringify(line)} are refused`, async () => {
      assertProblem(await get('/', `Host: a\r\n${line}\r\n`), 400, 'invalid_input');
    });
  }
  it('that come line by line without an end are 408', async () => {
    assert.equal(await drip('GET / HTTP/1.1\r\nHost: a\r\n', 'A: b\r\n'), 408);
  });
  it('that begin with endless empty lines are 408', async () => {
    assert.equal(await drip('', '\r\n'), 408);
  });
  it('that never come close the connection without a reply', async () => {
    const { url } = await startTestServer(hasty);
    assert.equal(await untilClosed(await open(url)), '');
  });
  it('name tenants by every X-Tenant-ID, trimmed and not empty', async () => {
    const { body } = await get(
      '/',
      'Host: a\r\nX-Tenant-ID:  b \r\nX-Tenant-ID:\r\nx-tenant-id: c\r\n',
    );
    assert.deepEqual(JSON.parse(body).tenantHeaders, ['b', 'c']);
  });
  it('with two Authorizations are refused', async () => {
    const reply = await get(
      '/',
      'Host: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n',
    );
    assertProblem(reply, 400, 'invalid_input');
  });
  it('with two Idempotency-Keys are refused', async () => {
    const reply = await get('/', 'Host: a\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n');
    assertProblem(reply, 400, 'invalid_input');
  });
  it('keep a plain X-Request-ID, and replace any other', async () => {
    const kept = await get('/', 'Host: a\r\nX-Request-ID: plain-id.1\r\n');
    assert.equal(kept.headers['x-request-id'], 'plain-id.1');
    const replaced = await get('/', 'Host: a\r\nX-Request-ID: <script>\r\n');
    assert.match(replaced.headers['x-request-id'] ?? '', /^[0-9a-f-]{36}$/);
  });
});

/**
 * Sends the same bytes again and again until the server closes.
 *
 * @returns the status.
 */
async function drip(first: string, bytes: string): Promise<number> {
  const { url } = await startTestServer(hasty);
  const socket = await open(url);
  const text = untilClosed(socket);
  socket.write(first);
  await until(() => {
    socket.write(bytes);
    return socket.closed;
  });
  return parseReply(await text).status;
}
