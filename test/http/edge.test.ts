/** The edge as the network meets it: raw sockets against a real server. */
import assert from 'node:assert/strict';
import { afterEach, before, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import {
  closed,
  open,
  parseReply,
  send,
  sendBeforeReading,
  untilClosed,
  untilText,
} from './raw_client.ts';
import { startTestServer, type TestServer } from './test_server.ts';

const close = 'Connection: close\r\n';

/** Ends what waits in vain. Far above what any of these suites takes. */
const limit = { timeout: 30_000 };

let tested: TestServer;
before(async () => {
  tested = await startTestServer();
});
afterEach(async () => {
  const good = await send(tested.url, `GET /good HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
  assert.equal(good.status, 200, 'the server must still answer');
});

function get(target: string, headers = 'Host: acme.localhost\r\n') {
  return send(tested.url, `GET ${target} HTTP/1.1\r\n${headers}${close}\r\n`);
}

function post(body: string, headers = 'Content-Type: application/json\r\n') {
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return send(tested.url, `POST / HTTP/1.1\r\nHost: a\r\n${headers}${length}${close}\r\n${body}`);
}

/** A refusal is a problem with our headers, whoever of node and us found the fault. */
function assertProblem(reply: Awaited<ReturnType<typeof send>>, status: number, code: string) {
  assert.equal(reply.status, status);
  assert.equal(reply.headers['content-type'], 'application/problem+json');
  assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  assert.equal(reply.headers['cache-control'], 'no-store');
  const problem = JSON.parse(reply.body);
  assert.equal(problem.code, code);
  assert.equal(problem.request_id, reply.headers['x-request-id']);
}

describe('Host', limit, () => {
  it('is taken in lower case and without its port', async () => {
    const { body } = await get('/x', 'Host: Acme.LOCALHOST:8080\r\n');
    assert.equal(JSON.parse(body).host, 'acme.localhost');
  });
  for (const [fault, headers] of Object.entries({
    'sent twice': 'Host: a\r\nHost: b\r\n',
    'sent twice alike': 'Host: a\r\nHost: a\r\n',
    'not sent': '',
    empty: 'Host:\r\n',
    'with a path': 'Host: a/b\r\n',
    'with a user': 'Host: a@b\r\n',
    'with a bad port': 'Host: a:b\r\n',
    'with a list': 'Host: a, b\r\n',
  })) {
    it(`is refused when it is ${fault}`, async () => {
      assertProblem(await get('/', headers), 400, 'invalid_input');
    });
  }
  it('is needed in HTTP/1.0 too, which is answered and closed', async () => {
    assert.equal((await send(tested.url, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')).status, 200);
    assertProblem(await send(tested.url, 'GET / HTTP/1.0\r\n\r\n'), 400, 'invalid_input');
  });
  it('is not replaced by a header of a client that is no proxy', async () => {
    const { body } = await get(
      '/',
      'Host: a\r\nX-Forwarded-Host: b\r\nX-Forwarded-For: 1.1.1.1\r\n',
    );
    assert.equal(JSON.parse(body).host, 'a');
    assert.equal(JSON.parse(body).address, '127.0.0.1');
  });
});

describe('request target', limit, () => {
  it('may be absolute when its authority is the Host', async () => {
    const { body } = await get('http://acme.localhost/x?y=1');
    assert.deepEqual([JSON.parse(body).path, JSON.parse(body).query], ['/x', 'y=1']);
  });
  for (const target of [
    'http://other.localhost/x',
    'http://acme.localhost@other/x',
    'ftp://acme.localhost/x',
    '*',
    'x',
    '/a%2fb',
    '/a%5Cb',
    '/a%00',
    '/%2e%2e/b',
    '/a/../b',
    '/a/.',
    '/..',
    '//a',
    '/a//b',
    '/a\\b',
    '/a#b',
    `/${'a'.repeat(2_048)}`,
  ]) {
    it(`"${target.slice(0, 30)}" is refused`, async () => {
      assertProblem(await get(target), 400, 'invalid_input');
    });
  }
  it('of a CONNECT is refused and the socket closed', async () => {
    const reply = await send(tested.url, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n');
    assertProblem(reply, 400, 'invalid_input');
  });
});

describe('upgrade', limit, () => {
  it('to WebSocket is refused and the socket closed', async () => {
    const headers = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    const reply = await send(tested.url, `GET / HTTP/1.1\r\n${headers}\r\n`);
    assertProblem(reply, 400, 'invalid_input');
  });
  it('to HTTP/2 is passed over', async () => {
    const headers = 'Host: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n';
    assert.equal((await send(tested.url, `GET / HTTP/1.1\r\n${headers}\r\n`)).status, 200);
  });
});

describe('framing', limit, () => {
  const chunked = 'Transfer-Encoding: chunked\r\n';
  for (const [fault, bytes] of Object.entries({
    'both Content-Length and Transfer-Encoding': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${chunked}\r\n0\r\n\r\n`,
    'two different Content-Lengths':
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
    'chunks in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a\r\n${chunked}\r\n0\r\n\r\n`,
    'a bare LF': 'GET / HTTP/1.1\nHost: a\n\n',
    'a folded header': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
    'a space before the colon': 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
    'no HTTP at all': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  })) {
    it(`with ${fault} is refused`, async () => {
      assertProblem(await send(tested.url, bytes), 400, 'invalid_input');
    });
  }
  it('with a broken chunk is answered as part of its request', async () => {
    const head = `POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: my-request\r\nContent-Type: application/json\r\n${chunked}\r\n`;
    const reply = await send(tested.url, `${head}xyz\r\n`);
    assertProblem(reply, 400, 'invalid_input');
    assert.equal(reply.headers['x-request-id'], 'my-request');
  });
});

describe('headers', limit, () => {
  it('above 8 KiB are 431', async () => {
    const reply = await get('/', `Host: a\r\nX-Big: ${'a'.repeat(9_216)}\r\n`);
    assertProblem(reply, 431, 'headers_too_large');
  });
  it('of megabytes do not keep the client from its 431', async () => {
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nX-Big: ';
    const reply = await sendBeforeReading(tested.url, head + 'a'.repeat(5_000_000));
    assertProblem(reply, 431, 'headers_too_large');
  });
  it('of too many lines are 431', async () => {
    assertProblem(await get('/', `Host: a\r\n${'A: b\r\n'.repeat(64)}`), 431, 'headers_too_large');
  });
  it('that come too slowly are 408', async () => {
    const reply = await send(tested.url, 'GET / HTTP/1.1\r\nHost: a\r\n');
    assertProblem(reply, 408, 'request_timeout');
  });
  it('that never come close the connection without a word', async () => {
    assert.equal(await untilClosed(await open(tested.url)), '');
  });
  it('name tenants: every value, trimmed, without empty ones', async () => {
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
  it('with a plain X-Request-ID keep it, with another get a new one', async () => {
    const kept = await get('/', 'Host: a\r\nX-Request-ID: plain-id.1\r\n');
    assert.equal(kept.headers['x-request-id'], 'plain-id.1');
    const replaced = await get('/', 'Host: a\r\nX-Request-ID: <script>\r\n');
    assert.match(replaced.headers['x-request-id'] ?? '', /^[0-9a-f-]{36}$/);
  });
});

describe('body', limit, () => {
  const large = JSON.stringify('x'.repeat(300 * 1_024));
  const chunked = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n';

  it('is given to the handler as JSON', async () => {
    assert.deepEqual(JSON.parse((await post('{"a":[1]}')).body), { body: { a: [1] } });
  });
  it('of 300 KiB by Content-Length is 413, and the client reads it', async () => {
    assertProblem(await post(large), 413, 'payload_too_large');
  });
  it('that is announced as too large is 413 before any of it has come', async () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    const reply = await send(tested.url, `${head}Content-Length: 300000\r\n\r\n`);
    assertProblem(reply, 413, 'payload_too_large');
  });
  it('of 300 KiB by chunks is 413, and the client reads it', async () => {
    const chunk = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
    const reply = await send(
      tested.url,
      `POST / HTTP/1.1\r\nHost: a\r\n${chunked}${close}\r\n${chunk}`,
    );
    assertProblem(reply, 413, 'payload_too_large');
  });
  it('of 5 MB that nobody reads does not keep the client from its 401', async () => {
    const head = 'POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n';
    const reply = await sendBeforeReading(tested.url, head + 'x'.repeat(5_000_000));
    assertProblem(reply, 401, 'unauthenticated');
    assert.equal(reply.headers['www-authenticate'], 'Bearer');
    assert.equal(reply.headers.connection, 'close');
  });
  it('that never ends is not waited for once its request was refused', async () => {
    const head = 'POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n';
    assertProblem(await send(tested.url, `${head}{`), 401, 'unauthenticated');
  });
  it('that arrived with a refused head leaves the connection open', async () => {
    const socket = await open(tested.url);
    const refused = 'POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}';
    socket.write(`${refused}GET /next HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    const text = await untilClosed(socket);
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 401', 'HTTP/1.1 200']);
  });
  it('that comes too slowly is 408', async () => {
    const head =
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n';
    assertProblem(await send(tested.url, `${head}\r\n{"a"`), 408, 'request_timeout');
  });
  it('of another type is 415', async () => {
    assertProblem(await post('a=1', 'Content-Type: text/plain\r\n'), 415, 'unsupported_media_type');
  });
  it('that is compressed is 415', async () => {
    const headers = 'Content-Type: application/json\r\nContent-Encoding: gzip\r\n';
    assertProblem(await post('{}', headers), 415, 'unsupported_media_type');
  });
  for (const [fault, body] of Object.entries({
    'broken JSON': '{"a":',
    nothing: '',
    'bytes that are no UTF-8': '"\xff"',
    __proto__: '{"__proto__":{"a":1}}',
    'deep nesting': '['.repeat(100_000) + ']'.repeat(100_000),
  })) {
    it(`of ${fault} is 400`, async () => {
      const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${close}`;
      const length = `Content-Length: ${body.length}\r\n`;
      assertProblem(await send(tested.url, `${head}${length}\r\n${body}`), 400, 'invalid_input');
    });
  }
  it('that its client breaks off ends the wait, and is observed once', async () => {
    const seen = tested.observed.length;
    const socket = await open(tested.url);
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Content-Length: 9\r\n\r\n{`, () => socket.destroy());
    await until(() => tested.observed.length > seen);
    await closed(socket);
    assert.equal(tested.observed.length, seen + 1);
    assert.deepEqual(tested.faults, []);
  });
  it('that the server itself cuts off ends the wait', async () => {
    const cut = await startTestServer();
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    (await open(cut.url)).write(`${head}Content-Length: 9\r\n\r\n{`);
    await until(() => cut.started.length > 0);
    await cut.server.drain(0);
    await until(() => cut.observed.length > 0);
    assert.deepEqual([cut.observed[0]?.status, cut.faults], [499, []]);
  });
  it('that its client ends early is 400', async () => {
    const socket = await open(tested.url);
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    socket.end(`${head}Content-Length: 9\r\n\r\n{`);
    assertProblem(parseReply(await untilClosed(socket)), 400, 'invalid_input');
  });
});

describe('replies', limit, () => {
  it('to a HEAD have the length of the body without the body', async () => {
    const reply = await send(tested.url, `HEAD / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.equal(reply.body, '');
    assert.ok(Number(reply.headers['content-length']) > 0);
  });
  it('to an error of ours tell nothing of it, but the log does', async () => {
    const reply = await get('/broken');
    assertProblem(reply, 500, 'internal');
    assert.doesNotMatch(reply.body, /secret/);
    assert.match(String(tested.faults.pop()), /secret/);
  });
  it('to pipelined requests come in order, whichever is ready first', async () => {
    const waiting = await startTestServer();
    const socket = await open(waiting.url);
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    socket.write(`GET /second HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    await until(() => waiting.observed.length > 0);
    waiting.release();
    assert.deepEqual((await untilClosed(socket)).match(/"path":"[^"]+"/g), [
      '"path":"/wait"',
      '"path":"/second"',
    ]);
  });
  it('to too many pipelined requests are 503', async () => {
    const waiting = await startTestServer({ pipelined: 1 });
    const socket = await open(waiting.url);
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    await until(() => waiting.observed.length > 0);
    waiting.release();
    const text = await untilClosed(socket);
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 503']);
  });
  it('that their client did not wait for are observed as 499', async () => {
    const left = await startTestServer();
    const socket = await open(left.url);
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => left.started.includes('/wait'));
    socket.destroy();
    await left.server.drain(5_000);
    left.release();
    await until(() => left.observed.length > 0);
    assert.deepEqual([left.observed[0]?.status, left.faults], [499, []]);
  });
  it('that their client does not read are cut off', { timeout: 5_000 }, async () => {
    const unread = await startTestServer({ connections: 1 });
    const socket = await open(unread.url);
    socket.pause();
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => unread.observed.length > 0);
    // The one place is free again when the server has given that client up.
    const next = `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`;
    while ((await send(unread.url, next)).status !== 200);
    socket.destroy();
  });
});

describe('connections', limit, () => {
  it('that fell idle are closed', async () => {
    const hasty = await startTestServer({ keepAliveMs: 100 });
    const reply = await send(hasty.url, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.deepEqual([reply.status, reply.headers.connection], [200, 'keep-alive']);
  });
  it('beyond the bound are closed unanswered', async () => {
    const full = await startTestServer({ connections: 1, headersMs: 5_000, requestMs: 5_000 });
    await open(full.url);
    const second = await open(full.url);
    second.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await untilClosed(second), '');
  });
});

describe('trusted proxies', limit, () => {
  it('need a Host of their own all the same', async () => {
    const behind = await startTestServer({}, ['127.0.0.0/8']);
    const bytes = `GET / HTTP/1.1\r\nX-Forwarded-Host: a\r\n${close}\r\n`;
    assertProblem(await send(behind.url, bytes), 400, 'invalid_input');
  });
  it('tell the host and the client, and only the hop next to them is believed', async () => {
    const behind = await startTestServer({}, ['127.0.0.0/8']);
    const headers =
      'Host: inner\r\nX-Forwarded-Host: forged, acme.localhost:443\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.9\r\n';
    const reply = await send(behind.url, `GET / HTTP/1.1\r\n${headers}${close}\r\n`);
    const { host, address } = JSON.parse(reply.body);
    assert.deepEqual([host, address], ['acme.localhost', '192.0.2.7']);
  });
});

describe('drain()', limit, () => {
  it('closes idle connections at once and lets running requests finish', async () => {
    const draining = await startTestServer({ headersMs: 5_000, requestMs: 5_000 });
    const silent = await open(draining.url);
    const idle = await open(draining.url);
    idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await untilText(idle, (text) => text.endsWith('}'));
    const running = await open(draining.url);
    running.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = untilClosed(running);
    await until(() => draining.started.includes('/wait'));
    const drained = draining.server.drain(5_000);
    await Promise.all([untilClosed(idle), untilClosed(silent)]);
    draining.release();
    const reply = parseReply(await text);
    assert.deepEqual([reply.status, reply.headers.connection], [200, 'close']);
    await drained;
    await assert.rejects(open(draining.url));
  });
  it('cuts off what is left after its limit', async () => {
    const draining = await startTestServer();
    const running = await open(draining.url);
    running.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = untilClosed(running);
    await until(() => draining.started.includes('/wait'));
    await draining.server.drain(50);
    assert.equal(await text, '');
    draining.release();
  });
});

describe('listen()', limit, () => {
  it('rejects when the port is taken', async () => {
    const other = await startTestServer();
    await other.server.drain(0);
    const port = Number(tested.url.split(':').at(-1));
    await assert.rejects(other.server.listen('127.0.0.1', port), { code: 'EADDRINUSE' });
  });
});
