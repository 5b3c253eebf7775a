/**
 * Connections from their first byte to their last: limits, idleness, half-closed ones, the drain.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { assertProblem, assertServing, close, limit } from './edge.ts';
import { closed, open, parseReply, send, untilClosed, untilText } from './raw_client.ts';
import { startTestServer } from './test_server.ts';

const tested = await startTestServer();

afterEach(() => assertServing(tested));

describe('a connection', limit, () => {
  it('is closed after the keep-alive time', async () => {
    const hasty = await startTestServer({ keepAliveMs: 100 });
    const reply = await send(hasty.url, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.deepEqual([reply.status, reply.headers.connection], [200, 'keep-alive']);
  });
  it('beyond the bound replaces the one that has been idle longest', async () => {
    const full = await startTestServer({ connections: 2 });
    const first = await open(full.url);
    const second = await open(full.url);
    first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await untilText(first, (text) => text.endsWith('}'));
    await assertServing(full);
    await closed(second);
    first.write(`GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.equal(parseReply(await untilClosed(first)).status, 200);
  });
  it('beyond the bound is closed without a reply while all others are busy', async () => {
    const full = await startTestServer({ connections: 1 });
    const running = await open(full.url);
    running.write(`GET /wait HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    await until(() => full.started.includes('/wait'));
    const second = await open(full.url);
    second.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await untilClosed(second), '');
    full.release();
    assert.equal(parseReply(await untilClosed(running)).status, 200);
  });
  it('is served beside hundreds of silent ones', async () => {
    const full = await startTestServer({ connections: 50 });
    const silent: Socket[] = [];
    // One by one: the test is not about the queue of connections that wait to be accepted.
    for (let at = 0; at < 300; at += 1) silent.push(await open(full.url));
    await assertServing(full);
    await until(() => silent.filter(({ closed: gone }) => !gone).length <= 50);
  });
});

describe('a half-closed connection', limit, () => {
  it('gets its reply if that is ready at once', async () => {
    const socket = await open(tested.url);
    socket.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(parseReply(await untilClosed(socket)).status, 200);
  });
  it('is closed and observed as 499 if its reply is not ready', async () => {
    const waiting = await startTestServer();
    const socket = await open(waiting.url);
    socket.end('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await untilClosed(socket), '');
    waiting.release();
    await until(() => waiting.observed.length > 0);
    assert.deepEqual([waiting.observed[0]?.status, waiting.faults], [499, []]);
  });
  it('gets 400 in the middle of a head', async () => {
    const socket = await open(tested.url);
    socket.end('GET / HTT');
    assertProblem(parseReply(await untilClosed(socket)), 400, 'invalid_input');
  });
  it('is closed without a reply if it sent nothing', async () => {
    const socket = await open(tested.url);
    socket.end();
    assert.equal(await untilClosed(socket), '');
  });
});

describe('drain()', limit, () => {
  it('closes idle connections at once and lets running requests finish', async () => {
    const draining = await startTestServer();
    const silent = await open(draining.url);
    const idle = await openIdle(draining.url);
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
  it('answers a late request on an idle connection, and closes it', async () => {
    const draining = await startTestServer();
    const idle = await openIdle(draining.url);
    const drained = draining.server.drain(5_000, 5_000);
    await assert.rejects(open(draining.url));
    idle.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\n');
    const reply = parseReply(await untilClosed(idle));
    assert.deepEqual([reply.status, reply.headers.connection], [200, 'close']);
    await drained;
  });
  it("control: node's own close() of a server drops such a request", async () => {
    const plain = createServer((_, outgoing) => outgoing.end('{}')).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const address = plain.address();
    const idle = await openIdle(`:${typeof address === 'object' && address?.port}`);
    plain.close();
    idle.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await untilClosed(idle), '');
  });
  it('closes connections that stay idle', async () => {
    const draining = await startTestServer();
    const idle = await openIdle(draining.url);
    await Promise.all([draining.server.drain(5_000, 50), untilClosed(idle)]);
  });
  it('cuts off running requests after its limit', async () => {
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

/** A connection on which one request has been answered. */
async function openIdle(url: string): Promise<Socket> {
  const socket = await open(url);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await untilText(socket, (text) => text.endsWith('}'));
  return socket;
}
