/** Replies: whole, in order, and to clients that do not read them. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import {
  assertProblem,
  assertServing,
  close,
  jsonPost,
  limit,
  requestsTo,
  statusesIn,
} from './edge.ts';
import { closed, open, send, untilClosed } from './raw_client.ts';
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

describe('a request in one packet with an unsafe one', limit, () => {
  const bytes = (line: string, headers = '') => `${line} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
  const json = 'Content-Type: application/json\r\nContent-Length: 2\r\n';
  const change = `${bytes('POST /wait', json)}{}`;
  const last = bytes('GET /last', close);

  /** Sends the requests, and returns when the first of them is running. */
  async function begin(packet: string, changed = {}) {
    const server = await startTestServer(changed);
    const socket = await open(server.url);
    socket.write(packet);
    await until(() => server.started.length > 0);
    return { server, socket };
  }

  it('is handled when the unsafe one before it has been answered', async () => {
    const { server, socket } = await begin(change + bytes('GET /second') + last);
    assert.deepEqual(server.started, ['/wait']);
    server.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200, 200, 200]);
    assert.deepEqual(server.started, ['/wait', '/second', '/last']);
  });
  it('is handled before the unsafe one behind it', async () => {
    const packet = bytes('GET /wait') + bytes('GET /beside') + bytes('DELETE /pet') + last;
    const { server, socket } = await begin(packet);
    await until(() => server.observed.length > 0);
    assert.deepEqual(server.started, ['/wait', '/beside']);
    server.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200, 200, 200, 200]);
    assert.deepEqual(server.started, ['/wait', '/beside', '/pet', '/last']);
  });
  it('is handled when the unsafe one before it is refused', async () => {
    const { server, socket } = await begin(`${bytes('POST /locked', json)}{}${last}`);
    assert.deepEqual(statusesIn(await untilClosed(socket)), [401, 200]);
    assert.deepEqual(server.started, ['/locked', '/last']);
  });
  it('is not handled when the client has left by then', async () => {
    const { server, socket } = await begin(change + bytes('DELETE /pet') + last);
    socket.destroy();
    await until(() => server.observed.length === 2);
    server.release();
    await until(() => server.observed.length === 3);
    assert.deepEqual(server.started, ['/wait']);
    assert.deepEqual(
      [server.observed.map(({ status }) => status), server.faults],
      [[499, 499, 499], []],
    );
  });
  it('counts against the bound on pipelined requests while it waits', async () => {
    const { server, socket } = await begin(change + bytes('GET /more').repeat(9), { pipelined: 3 });
    server.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200, 200, 200]);
    assert.deepEqual(server.started, ['/wait', '/more', '/more']);
  });
  it('is answered by a server that drains', async () => {
    const { server, socket } = await begin(change + bytes('GET /second'));
    const drained = server.server.drain(60_000);
    server.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), [200, 200]);
    await drained;
  });
  it('does not keep a server from its end', async () => {
    const { server, socket } = await begin(change + bytes('DELETE /pet'));
    await server.server.drain(0);
    await closed(socket);
    await until(() => server.observed.length === 1);
    server.release();
    assert.deepEqual(server.started, ['/wait']);
  });
  it('may have a body, also when more bytes follow than one request may have', async () => {
    const text = JSON.stringify('x'.repeat(2_000));
    const post = `${jsonPost}Content-Length: ${text.length}\r\n\r\n${text}`;
    const body = { bytes: 3_000, wireBytes: 5_000, depth: 16 };
    const { server, socket } = await begin(change, { body });
    for (let sent = 0; sent < 6; sent += 1) {
      await new Promise((resolve) => socket.write(post, resolve));
      await send(server.url, bytes('GET /between', close));
    }
    socket.write(last);
    server.release();
    assert.deepEqual(statusesIn(await untilClosed(socket)), Array(8).fill(200));
  });
});
