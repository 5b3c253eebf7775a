/**
 * The request line: targets that two parsers could read in two ways, and lines that are malformed.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { assertProblem, assertServing, close, limit, requestsTo } from './edge.ts';
import { send } from './raw_client.ts';
import { startTestServer } from './test_server.ts';

const tested = await startTestServer();
const { get } = requestsTo(tested);

afterEach(() => assertServing(tested));

describe('request target', limit, () => {
  for (const [target, read] of Object.entries({
    'http://acme.localhost/x?y=1': ['/x', 'y=1'],
    'HTTPS://ACME.localhost?y': ['/', 'y'],
    '/x??': ['/x', '?'],
    '/x?a=%00&a=%zz&\\"<>`{|}': ['/x', 'a=%00&a=%zz&\\"<>`{|}'],
    '/__proto__/constructor': ['/__proto__/constructor', ''],
    "/~a+b@c:d!e$f&'(g)*,=/": ["/~a+b@c:d!e$f&'(g)*,=/", ''],
    [`/x?${'a&'.repeat(1_000)}`]: ['/x', 'a&'.repeat(1_000)],
  })) {
    it(`"${target.slice(0, 30)}" is split and not decoded`, async () => {
      const { path, query } = JSON.parse((await get(target)).body);
      assert.deepEqual([path, query], read);
    });
  }
  for (const target of [
    ...['http://other.localhost/x', 'http://acme.localhost@other/x', 'http://u@acme.localhost/x'],
    ...[
      'http://acme.localhost:81/x',
      'http:///x',
      'http:/acme.localhost/x',
      'ftp://acme.localhost/x',
    ],
    ...['http://acme.localhost//x', 'http://acme.localhost/../x', 'acme.localhost:80', '*', 'x'],
    ...['/a%2fb', '/a%5Cb', '/a%00', '/%2e%2e/b', '/%2e/b', '/%252e', '/%', '/%c0%af'],
    ...['/a/../b', '/a/..', '/a/.', '/./a', '/..', '/a/..;/b', '/a/.;/b', '/a;b=c', '/;/a'],
    ...['//a', '//acme.localhost/x', '/a//b', '/a//', '/a\\b', '\\a', '/a#b', '/a?b#c'],
    ...['/\xff', '/a?\xff', '/\x7f', '/\x01', '/a b'],
  ]) {
    it(`${JSON.stringify(target.slice(0, 30))} is refused`, async () => {
      assertProblem(await get(target), 400, 'invalid_input');
    });
  }
  for (const length of [2_048, 7_000, 20_000]) {
    it(`of ${length} characters is too long`, async () => {
      assertProblem(await get(`/${'a'.repeat(length)}`), 414, 'uri_too_long');
    });
  }
  it('is not blamed for headers that are too large', async () => {
    const headers = `Host: a\r\nX: ${'a'.repeat(20_000)}\r\n`;
    assertProblem(await get('/x', headers), 431, 'headers_too_large');
  });
  it('may be "*" for OPTIONS', async () => {
    const reply = await send(tested.url, `OPTIONS * HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.equal(JSON.parse(reply.body).path, '*');
  });
  it('of a CONNECT is refused, and the socket is closed', async () => {
    const reply = await send(tested.url, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n');
    assertProblem(reply, 400, 'invalid_input');
  });
});

describe('request line', limit, () => {
  for (const line of [
    ...['G\0T / HTTP/1.1', `${'G'.repeat(20_000)} / HTTP/1.1`],
    ...['GET /', 'GET / HTTP/0.9', 'GET / HTTP/1.2', 'GET / HTTP/1.10', 'GET / HTTP/2.0'],
    ...['GET / http/1.1', 'GET / HTTP/1,1', 'GET / HTTP/1.1 ', 'GET / HTTP/1.1 HTTP/1.1'],
    ...['GET\t/\tHTTP/1.1', ' GET / HTTP/1.1', 'PRI * HTTP/2.0', 'HTTP/1.1 200 OK'],
  ]) {
    it(`${JSON.stringify(line.slice(0, 30))} is refused`, async () => {
      const reply = await send(tested.url, `${line}\r\nHost: a\r\n${close}\r\n`);
      assertProblem(reply, 400, 'invalid_input');
    });
  }
  for (const method of ['FOO', 'get', 'PROPFIND', 'SEARCH', 'X-Y!']) {
    it(`with the unknown method ${method} is 501`, async () => {
      const reply = await send(tested.url, `${method} / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
      assertProblem(reply, 501, 'not_implemented');
    });
  }
  it('with an unknown method behind a good request ends the connection', async () => {
    const good = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    const reply = await send(tested.url, `${good}FOO / HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.equal(reply.status, 200);
  });
  it('of a TLS handshake is refused', async () => {
    const reply = await send(tested.url, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
    assertProblem(reply, 400, 'invalid_input');
  });
});
