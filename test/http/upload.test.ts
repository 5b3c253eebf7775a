/** Request bodies: too large, too slow, cut short, and made to harm their parser. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { assertProblem, assertServing, close, jsonPost, limit, requestsTo } from './edge.ts';
import { closed, open, parseReply, send, sendBeforeReading, untilClosed } from './raw_client.ts';
import { hasty, startTestServer } from './test_server.ts';

const tested = await startTestServer();
const { post } = requestsTo(tested);

afterEach(() => assertServing(tested));

describe('body', limit, () => {
  const large = JSON.stringify('x'.repeat(300 * 1_024));
  const chunked = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n';

  it('is given to the handler as JSON', async () => {
    assert.deepEqual(JSON.parse((await post('{"a":[1]}')).body), { body: { a: [1] } });
  });
  it('of 300 KiB by Content-Length is 413, and the client reads it', async () => {
    assertProblem(await post(large), 413, 'payload_too_large');
  });
  it('that is announced as too large is 413 before it arrives', async () => {
    const head = jsonPost;
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
  it('of 5 MB behind a refused head is answered with 401 that the client can read', async () => {
    const head = 'POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n';
    const patient = await startTestServer({ lingerMs: 30_000 });
    const reply = await sendBeforeReading(patient.url, head + 'x'.repeat(5_000_000));
    assertProblem(reply, 401, 'unauthenticated');
    assert.equal(reply.headers['www-authenticate'], 'Bearer realm="kennel"');
    assert.equal(reply.headers.connection, 'close');
  });
  it('that never ends does not delay a refusal', async () => {
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
    const { url } = await startTestServer(hasty);
    assertProblem(await send(url, `${head}\r\n{"a"`), 408, 'request_timeout');
  });
  it('of another type is 415', async () => {
    assertProblem(await post('a=1', 'Content-Type: text/plain\r\n'), 415, 'unsupported_media_type');
  });
  it('that is compressed is 415', async () => {
    const headers = 'Content-Type: application/json\r\nContent-Encoding: gzip\r\n';
    assertProblem(await post('{}', headers), 415, 'unsupported_media_type');
  });
  it('of two types is refused', async () => {
    const headers = 'Content-Type: application/json\r\nContent-Type: text/plain\r\n';
    assertProblem(await post('{}', headers), 400, 'invalid_input');
  });
  it('of another charset is 415', async () => {
    const headers = 'Content-Type: application/json; charset=utf-16\r\n';
    assertProblem(await post('{}', headers), 415, 'unsupported_media_type');
  });
  for (const [fault, body] of Object.entries({
    'broken JSON': '{"a":',
    nothing: '',
    'bytes that are not UTF-8': '"\xff"',
    'overlong UTF-8': '"\xc0\xaf"',
    'UTF-16': '\xff\xfe{\0}\0',
    'UTF-16 without a mark': '\0{\0}',
    'two byte order marks': '\xef\xbb\xbf\xef\xbb\xbf{}',
    'a bare NUL': '"\0"',
    'gzip in disguise': '\x1f\x8b\x08',
    __proto__: '{"__proto__":{"a":1}}',
    'an escaped __proto__': '{"\\u005f_proto__":{"a":1}}',
    'a constructor with a prototype': '{"constructor":{"prototype":{}}}',
    'deep arrays': '['.repeat(100_000) + ']'.repeat(100_000),
    'deep objects': `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`,
    'deep nesting without an end': '['.repeat(200_000),
    'names that pretend to be __proto__': `{${'"__proto__"'.repeat(20_000)}}`,
  })) {
    it(`of ${fault} is 400`, async () => assertProblem(await post(body), 400, 'invalid_input'));
  }
  for (const [form, body] of Object.entries({
    'one number': '1'.repeat(262_144),
    'numbers beyond a double': `[${'1e999999,'.repeat(29_000)}0]`,
    'one string': `"${'x'.repeat(262_142)}"`,
    'many keys': `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":0`).join()}}`,
    'one key, again and again': `{${'"a":0,'.repeat(40_000)}"a":0}`,
    'many empty arrays': `[${'[],'.repeat(87_000)}0]`,
    'white space': `${' '.repeat(262_143)}1`,
  })) {
    it(`of ${form}, up to the bound, is read`, async () => {
      assert.equal((await post(body)).status, 200);
    });
  }
  it('in chunks with long extensions is 413', async () => {
    const bomb = `1;${'a'.repeat(16_000)}\r\n \r\n`.repeat(100);
    const reply = await sendBeforeReading(
      tested.url,
      `POST / HTTP/1.1\r\nHost: a\r\n${chunked}\r\n${bomb}`,
    );
    assertProblem(reply, 413, 'payload_too_large');
  });
  it('in chunks with long extensions is 413, also when they came before it was wanted', async () => {
    const late = await startTestServer();
    const bomb = `${`1;${'a'.repeat(16_000)}\r\n \r\n`.repeat(70)}2\r\n{}\r\n0\r\n\r\n`;
    const socket = await open(late.url);
    const head = `POST /wait HTTP/1.1\r\nHost: a\r\n${chunked}${close}\r\n`;
    await new Promise((resolve) => socket.write(head + bomb, resolve));
    for (let turn = 0; turn < 20; turn += 1)
      await send(late.url, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    late.release();
    assertProblem(parseReply(await untilClosed(socket)), 413, 'payload_too_large');
  });
  it('in many small chunks is read', async () => {
    const chunks = `${'1\r\n \r\n'.repeat(100_000)}2\r\n{}\r\n0\r\n\r\n`;
    const reply = await send(
      tested.url,
      `POST / HTTP/1.1\r\nHost: a\r\n${chunked}${close}\r\n${chunks}`,
    );
    assert.deepEqual([reply.status, JSON.parse(reply.body)], [200, { body: {} }]);
  });
  it('that the client breaks off is observed once', async () => {
    const seen = tested.observed.length;
    const socket = await open(tested.url);
    const head = jsonPost;
    socket.write(`${head}Content-Length: 9\r\n\r\n{`, () => socket.destroy());
    await until(() => tested.observed.length > seen);
    await closed(socket);
    assert.equal(tested.observed.length, seen + 1);
    assert.deepEqual(tested.faults, []);
  });
  it('that drain() cuts off is observed as 499', async () => {
    const cut = await startTestServer();
    const head = jsonPost;
    (await open(cut.url)).write(`${head}Content-Length: 9\r\n\r\n{`);
    await until(() => cut.started.length > 0);
    await cut.server.drain(0);
    await until(() => cut.observed.length > 0);
    assert.deepEqual([cut.observed[0]?.status, cut.faults], [499, []]);
  });
  it('that the client ends early is 400', async () => {
    const socket = await open(tested.url);
    const head = jsonPost;
    socket.end(`${head}Content-Length: 9\r\n\r\n{`);
    assertProblem(parseReply(await untilClosed(socket)), 400, 'invalid_input');
  });
});
