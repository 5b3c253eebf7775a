/** Replies: whole, in order, and to clients that do not read them. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { assertProblem, assertServing, close, limit, requestsTo } from './edge.ts';
import { open, send, untilClosed } from './raw_client.ts';
import { startTestServer } from './test_server.ts';

const tested = await startTestServer();
const { get } = requestsTo(tested);

afterEach(() => assertServing(tested));

describe('replies', limit, () => {
  it('to a HEAD have the Content-Length without the body', async () => {
    const reply = await send(tested.url, `HEAD / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.equal(reply.body, '');
    assert.ok(Number(reply.headers['content-length']) > 0);
  });
  it('to an internal error reveal nothing of it, while the log does', async () => {
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
  it('to pipelined requests end at the bound, where the connection is closed', async () => {
    const waiting = await startTestServer({ pipelined: 2 });
    const socket = await open(waiting.url);
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000));
    await until(() => waiting.started.length > 0);
    waiting.release();
    const text = await untilClosed(socket);
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200']);
    assert.deepEqual(text.match(/connection: .*/gi), [
      'Connection: keep-alive',
      'connection: close',
    ]);
    assert.equal(waiting.started.length, 2);
  });
  it('to a client that has left are observed as 499', async () => {
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
  it('that the client does not read are cut off', { timeout: 40_000 }, async () => {
    const unread = await startTestServer();
    const socket = await open(unread.url);
    socket.pause();
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => unread.observed.length > 0);
    // A drain waits for every reply in progress, and would take its whole minute here.
    await unread.server.drain(60_000);
    socket.resume();
    const text = await untilClosed(socket);
    assert.ok(text.length < 40_000_000, 'it should be cut short');
  });
  it('of 40 MB arrive whole at a client that reads them', async () => {
    const patient = await startTestServer({ receiveMs: 30_000 });
    const { body } = await requestsTo(patient).get('/large');
    assert.equal(body.length, 40_000_002);
  });
});
