/** The Host header, as clients and proxies send it and as attackers bend it. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { assertProblem, assertServing, close, limit, requestsTo } from './edge.ts';
import { send } from './raw_client.ts';
import { startTestServer } from './test_server.ts';

const tested = await startTestServer();
const { get } = requestsTo(tested);

afterEach(() => assertServing(tested));

describe('Host', limit, () => {
  for (const [sent, name] of Object.entries({
    'Acme.LOCALHOST:8080': 'acme.localhost',
    'acme.localhost.': 'acme.localhost',
    'acme.localhost.:80': 'acme.localhost',
    '  a  ': 'a',
    'a:65535': 'a',
    'a:': 'a',
    'a:0080': 'a',
    '[::1]:': '[::1]',
    my_container: 'my_container',
    '127.0.0.1:80': '127.0.0.1',
    '[::1]:80': '[::1]',
    [`${'a'.repeat(63)}.b`]: `${'a'.repeat(63)}.b`,
  })) {
    it(`"${sent.slice(0, 30)}" is "${name.slice(0, 30)}"`, async () => {
      const { body } = await get('/x', `Host: ${sent}\r\n`);
      assert.equal(JSON.parse(body).host, name);
    });
  }
  for (const [fault, headers] of Object.entries({
    'sent twice': 'Host: a\r\nHost: b\r\n',
    'sent twice alike': 'Host: a\r\nHost: a\r\n',
    'not sent': '',
    empty: 'Host:\r\n',
  })) {
    it(`is refused when it is ${fault}`, async () => {
      assertProblem(await get('/', headers), 400, 'invalid_input');
    });
  }
  for (const sent of [
    ...['a/b', 'a/', 'a?b', 'a#b', 'a\\b', 'http://a', 'a@b', 'user:password@a', 'a, b', 'a;b'],
    ...['a b', 'a\tb', '"a"', "a'", '*', 'a%2eb', '%61', 'a\xe9', '\xff', 'a\x85'],
    ...['.', '..', '.a', 'a..', 'a..b', 'a .', `${'a'.repeat(64)}.b`, `${'a.'.repeat(126)}bc`],
    ...['a:b', 'a:+80', 'a:-1', 'a:0', 'a:000', 'a:65536', 'a:99999', 'a:80:80'],
    ...[
      '::1',
      '[::1',
      '[]',
      '[:::::]',
      '[1.2.3.4]',
      '[fe80::1%eth0]',
      '[fe80::1%25eth0]',
      '[v1.x]',
    ],
  ]) {
    it(`${JSON.stringify(sent.slice(0, 30))} is refused`, async () => {
      assertProblem(await get('/', `Host: ${sent}\r\n`), 400, 'invalid_input');
    });
  }
  it('is optional in HTTP/1.0', async () => {
    for (const [headers, host] of [
      ['Host: a\r\n', 'a'],
      ['', ''],
    ]) {
      const { status, body } = await send(tested.url, `GET / HTTP/1.0\r\n${headers}\r\n`);
      assert.deepEqual([status, JSON.parse(body).host], [200, host]);
    }
    for (const headers of ['Host:\r\n', 'Host: a b\r\n', 'Host: a\r\nHost: a\r\n']) {
      const reply = await send(tested.url, `GET / HTTP/1.0\r\n${headers}\r\n`);
      assertProblem(reply, 400, 'invalid_input');
    }
  });
  it('is not replaced by forwarding headers of an untrusted client', async () => {
    const headers = 'Host: a\r\nX-Forwarded-Host: b\r\nForwarded: host=c\r\nX-Host: d\r\n';
    const { body } = await get('/', `${headers}X-Forwarded-For: 1.1.1.1\r\n`);
    assert.equal(JSON.parse(body).host, 'a');
    assert.equal(JSON.parse(body).address, '127.0.0.1');
  });
});

describe('trusted proxies', limit, () => {
  it('must send a Host of their own', async () => {
    const behind = await startTestServer({}, ['127.0.0.0/8']);
    const bytes = `GET / HTTP/1.1\r\nX-Forwarded-Host: a\r\n${close}\r\n`;
    assertProblem(await send(behind.url, bytes), 400, 'invalid_input');
  });
  it('set host and client address by the last untrusted hop', async () => {
    const behind = await startTestServer({}, ['127.0.0.0/8']);
    const headers =
      'Host: inner\r\nX-Forwarded-Host: forged, acme.localhost:443\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.9\r\n';
    const { host, address } = JSON.parse((await requestsTo(behind).get('/', headers)).body);
    assert.deepEqual([host, address], ['acme.localhost', '192.0.2.7']);
  });
  for (const sent of ['', 'a@b', 'a:0', '..', 'a, ']) {
    it(`that forward the host "${sent}" are refused`, async () => {
      const behind = await startTestServer({}, ['127.0.0.0/8']);
      const reply = await requestsTo(behind).get('/', `Host: a\r\nX-Forwarded-Host: ${sent}\r\n`);
      assertProblem(reply, 400, 'invalid_input');
    });
  }
});
