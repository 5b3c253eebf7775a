/**
 * Request smuggling: each form here makes some parser see another end of a request than the next
 * parser does. A second request follows each, and must never be handled.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { assertServing, jsonPost as head, limit, statusesIn } from './edge.ts';
import { open, untilClosed, untilText } from './raw_client.ts';
import { hasty, startTestServer } from './test_server.ts';

const poison = 'GET /poison HTTP/1.1\r\nHost: a\r\n\r\n';

const tested = await startTestServer({ lingerMs: 50 });

afterEach(() => assertServing(tested));

/** Sends the bytes and the poison; one reply must come, and the poison must not be handled. */
async function assertAlone(bytes: string, status: number, server = tested): Promise<void> {
  server.started.splice(0);
  const socket = await open(server.url);
  socket.write(bytes + poison, 'latin1');
  assert.deepEqual(statusesIn(await untilClosed(socket)), [status]);
  assert.ok(!server.started.includes('/poison'), 'a second request was handled');
}

function refuses(forms: Readonly<Record<string, string>>, status = 400): void {
  for (const [form, bytes] of Object.entries(forms)) {
    it(`${form} is ${status}, and nothing behind it is handled`, () => assertAlone(bytes, status));
  }
}

const chunked = 'Transfer-Encoding: chunked\r\n';
const chunks = '\r\n2\r\n{}\r\n0\r\n\r\n';

describe('control: a plain request', limit, () => {
  for (const [form, bytes] of Object.entries({
    'with a length': `${head}Content-Length: 2\r\n\r\n{}`,
    'with chunks': `${head}${chunked}${chunks}`,
    'with chunks in another spelling': `${head}transfer-encoding:Chunked\r\n\r\n02;a="b"\r\n{}\r\n0\r\n\r\n`,
    'with trailers': `${head}${chunked}\r\n2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n`,
    'that is refused with 401': 'GET /locked HTTP/1.1\r\nHost: a\r\n\r\n',
  })) {
    it(`${form} lets the next request through`, async () => {
      const plain = await startTestServer({ keepAliveMs: 50 });
      const socket = await open(plain.url);
      socket.write(bytes + poison);
      await until(() => plain.started.includes('/poison'));
      socket.destroy();
    });
  }
});

describe('Transfer-Encoding', limit, () => {
  const values = [
    ...['xchunked', 'chunked, identity', 'identity, chunked', 'gzip, chunked', 'chunked, chunked'],
    ...['identity', 'gzip', '"chunked"', 'chunked;q=1', ',chunked', 'chunked,', '', 'chunked x'],
    ...['\x0bchunked', '\x0cchunked', 'chunked\0', 'chunked\xff', '\xa0chunked', 'chun\rked'],
    ...['\r\n chunked', 'chunked\r\n ,x', 'chunked\r\nTransfer-Encoding: chunked'],
    ...['identity\r\nTransfer-Encoding: chunked', 'chunked\r\nTransfer-Encoding: identity'],
    ...['chunked\r\nTransfer-Encoding: cow', '\r\nTransfer-Encoding: chunked'],
  ];
  refuses(
    Object.fromEntries(
      values.map((value) => [
        JSON.stringify(value),
        `${head}Transfer-Encoding: ${value}\r\n${chunks}`,
      ]),
    ),
  );
  refuses({
    'with a space before its colon': `${head}Transfer-Encoding : chunked\r\n${chunks}`,
    'with a tab before its colon': `${head}Transfer-Encoding\t: chunked\r\n${chunks}`,
    'after a bare LF': `${head}X: y\nTransfer-Encoding: chunked\r\n${chunks}`,
    'after a bare CR': `${head}X: y\rTransfer-Encoding: chunked\r\n${chunks}`,
    'in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a\r\n${chunked}${chunks}`,
    'empty, on a GET': 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n',
    'after a Content-Length (CL.TE)': `${head}Content-Length: 6\r\n${chunked}\r\n0\r\n\r\nG`,
    'before a Content-Length (TE.CL)': `${head}${chunked}Content-Length: 4\r\n${chunks}`,
    'empty, before a Content-Length': `${head}Transfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}`,
    'empty, after a Content-Length': `${head}Content-Length: 2\r\nTransfer-Encoding:\r\n\r\n{}`,
    'of "identity", with a Content-Length': `${head}Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}`,
  });
});

describe('Content-Length', limit, () => {
  const values = [
    ...['+2', '-2', '0x2', '02', '0000000000000002', '2 0', '2e0', '2.0', '"2"', '2, 2', '2,0', ''],
    ...['18446744073709551618', '18446744073709551615', '2\0', '\x0b2', '\xb2', '2_', '2\rX: y'],
    ...['\r\n 2', '2\r\nContent-Length: 2', '2\r\nContent-Length: 0', '\r\nContent-Length: 2'],
  ];
  refuses(
    Object.fromEntries(
      values.map((value) => [JSON.stringify(value), `${head}Content-Length: ${value}\r\n\r\n{}`]),
    ),
  );
  refuses({ 'with a space before its colon': `${head}Content-Length : 2\r\n\r\n{}` });
  refuses({ 'beyond what a double holds': `${head}Content-Length: 9007199254740993\r\n\r\n` }, 413);

  for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'TRACE']) {
    it(`covers the unread body of a ${method} (CL.0)`, async () => {
      tested.started.splice(0);
      const length = `Content-Length: ${poison.length}\r\n`;
      const socket = await open(tested.url);
      socket.write(`${method} /locked HTTP/1.1\r\nHost: a\r\n${length}\r\n${poison}`);
      socket.write('GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.deepEqual(statusesIn(await untilClosed(socket)), [401, 200]);
      assert.ok(!tested.started.includes('/poison'));
    });
  }
});

describe('a chunk', limit, () => {
  const sizes = [
    ...['0x2', '+2', '-2', ' 2', '2 ', '2 ;a=b', '2_', '', ';a', '2\n', '2\r', '2;a\n', '2;a\rb'],
    ...['2;a="\r\n', '2;a=\0', '10000000000000002', `2;${'a'.repeat(20_000)}`],
  ];
  refuses(
    Object.fromEntries(
      sizes.map((size) => [
        `of size ${JSON.stringify(size.slice(0, 20))}`,
        `${head}${chunked}\r\n${size}\r\n{}\r\n0\r\n\r\n`,
      ]),
    ),
  );
  const ends = { 'a bare LF': '\n', nothing: '', 'two other bytes': 'XX', 'a CR alone': '\r' };
  for (const [name, end] of Object.entries(ends)) {
    refuses({ [`followed by ${name}`]: `${head}${chunked}\r\n2\r\n{}${end}0\r\n\r\n` });
  }
  refuses({
    'of size 0 with a bare LF': `${head}${chunked}\r\n2\r\n{}\r\n0\n\n`,
    'of size 0, then a bare LF': `${head}${chunked}\r\n2\r\n{}\r\n0\r\n\n`,
    'with a Content-Length trailer': `${head}${chunked}\r\n2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n`,
    'with a Transfer-Encoding trailer': `${head}${chunked}\r\n2\r\n{}\r\n0\r\n${chunked}\r\n`,
    'with a malformed trailer': `${head}${chunked}\r\n2\r\n{}\r\n0\r\na b\r\n\r\n`,
  });
  it('of endless size is 408, and nothing behind it is handled', async () => {
    const server = await startTestServer({ ...hasty, lingerMs: 50 });
    await assertAlone(`${head}${chunked}\r\nffffffffffffffff\r\n{}`, 408, server);
  });
  refuses(
    { 'with huge trailers': `${head}${chunked}\r\n0\r\nA: ${'b'.repeat(20_000)}\r\n\r\n` },
    431,
  );

  it('may have trailers, which are not treated as headers', async () => {
    const socket = await open(tested.url);
    const trailers = 'Host: evil\r\nAuthorization: Bearer evil\r\nX-Tenant-ID: evil\r\n';
    socket.write(`GET /x HTTP/1.1\r\nHost: a\r\n${chunked}\r\n0\r\n${trailers}\r\n`);
    const text = await untilText(socket, (all) => all.includes('}'));
    socket.destroy();
    assert.match(text, /"host":"a"/);
    assert.doesNotMatch(text, /evil/);
  });
});

describe('a request whose end is not certain', limit, () => {
  refuses({
    'with a bad target': 'GET //x HTTP/1.1\r\nHost: a\r\n\r\n',
    'with a bad target and a body': 'POST //x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}',
    'with a bad Host and an expectation': `POST / HTTP/1.1\r\nHost: a@b\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`,
    'with bare LFs': 'GET / HTTP/1.1\nHost: a\n\n',
    'with one bare LF': 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
    'with a bare LF at its end': 'GET / HTTP/1.1\r\nHost: a\r\n\n',
    'with a bare CR at its end': 'GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n',
    'that asks for a tunnel': 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
    'that asks for a WebSocket':
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'with Upgrade but without Connection: Upgrade':
      'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n',
  });
  refuses(
    { 'with Connection: close': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' },
    200,
  );
  refuses({ 'in HTTP/1.0': 'GET / HTTP/1.0\r\nHost: a\r\n\r\n' }, 200);
  refuses({ 'of another protocol': 'GET / RTSP/1.0\r\nHost: a\r\n\r\n' }, 200);
  const small = `${'1\r\n \r\n'.repeat(200_000)}2\r\n{}\r\n0\r\n\r\n`;
  it('that exceeds the bound on wire bytes is 413, and nothing behind it is handled', async () => {
    await assertAlone(`${head}${chunked}\r\n${small}`, 413);
  });
});

describe('an offer of HTTP/2', limit, () => {
  const offer = 'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n';
  it('is ignored, and nothing behind it is handled', async () => {
    await assertAlone(`GET / HTTP/1.1\r\n${offer}\r\n`, 200);
    const json = 'Content-Type: application/json\r\n';
    await assertAlone(`POST / HTTP/1.1\r\n${offer}${json}Content-Length: 2\r\n\r\n{}`, 200);
  });
  it('does not turn the next body into a request', async () => {
    const waiting = await startTestServer();
    const socket = await open(waiting.url);
    const length = `Content-Length: ${poison.length}\r\n`;
    socket.write(`GET /wait HTTP/1.1\r\n${offer}\r\nPOST /x HTTP/1.1\r\nHost: a\r\n${length}\r\n`);
    await until(() => waiting.started.includes('/wait'));
    await new Promise((resolve) => socket.write(poison, resolve));
    waiting.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200]);
    await assertServing(waiting);
    assert.deepEqual(waiting.started, ['/wait', '/good']);
  });
});

describe('an expectation', limit, () => {
  const json = `${head}Content-Length: 2\r\n`;
  it('of 100-continue is answered with 100 when the body is wanted', async () => {
    const socket = await open(tested.url);
    socket.write(`${json}Expect: 100-continue\r\n\r\n`);
    const invited = await untilText(socket, (text) => text.endsWith('\r\n\r\n'));
    assert.deepEqual(statusesIn(invited), [100]);
    socket.write(`{}${poison}`);
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200]);
    assert.ok(!tested.started.includes('/poison'));
  });
  for (const [reason, bytes, status] of [
    ['is too large', `${head}Content-Length: 300000\r\n`, 413],
    ['is not wanted', 'POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n', 401],
    ['has another type', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n', 415],
    ['has no Host', 'POST / HTTP/1.1\r\nContent-Length: 2\r\n', 400],
  ] as const) {
    it(`is answered without 100 for a body that ${reason}`, async () => {
      const socket = await open(tested.url);
      socket.write(`${bytes}Expect: 100-continue\r\n\r\n`);
      assert.deepEqual(statusesIn(await untilClosed(socket)), [status]);
    });
  }
  for (const expect of [
    '200-ok',
    'y 100-continue',
    '100-continue\r\nExpect: x',
    '100-continue, x',
  ]) {
    it(`${JSON.stringify(expect)} is ignored`, () =>
      assertAlone(`${json}Expect: ${expect}\r\n\r\n{}`, 200));
  }
});
