/** Replies whose bytes are made while they are sent. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { download, json } from '../../src/http/reply.ts';
import { Refusal } from '../../src/kernel/errors.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { send } from '../support/client.ts';
import { until } from '../support/until.ts';
import { type limits, startTestServer, type TestServer } from './test_server.ts';

const chunk = randomBytes(100_000);

/** A server whose replies have `chunks` chunks, and how much of them was made. */
async function startStreaming(
  chunks: number,
  { changed = {}, failAt = -1 }: { changed?: Partial<typeof limits>; failAt?: number } = {},
) {
  const source = { begun: 0, made: 0, ended: 0 };
  async function* stream() {
    source.begun += 1;
    try {
      for (let at = 0; at < chunks; at += 1) {
        if (at === failAt) throw new Refusal('unavailable', { detail: 'The source is gone' });
        source.made += 1;
        yield chunk;
      }
    } finally {
      source.ended += 1;
    }
  }
  const file = { name: 'file.gz', type: 'application/gzip' };
  const server = await startTestServer(changed, [], async () => download(file, stream));
  return { ...server, source };
}

async function get({ url }: Pick<TestServer, 'url'>): Promise<IncomingMessage> {
  const outgoing = request(url, { agent: false }).end();
  const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
  assert.ok(incoming);
  return incoming;
}

describe('a streamed reply', () => {
  it('arrives whole, as a file', async () => {
    const server = await startStreaming(20);
    const incoming = await get(server);
    assert.equal(incoming.headers['content-disposition'], 'attachment; filename="file.gz"');
    assert.equal(incoming.headers['content-type'], 'application/gzip');
    assert.equal(incoming.headers['content-length'], undefined);
    const expected = Buffer.concat(Array.from({ length: 20 }, () => chunk));
    assert.ok((await buffer(incoming)).equals(expected));
    assert.equal(server.source.ended, 1);
  });

  it('is made at the pace of its client', async () => {
    const chunks = 500;
    const server = await startStreaming(chunks, { changed: { receiveMs: 60_000 } });
    const incoming = await get(server);
    let seen = -1;
    // What fits into the buffers on the way is made, and then no more.
    await until(() => {
      const isQuiet = seen === server.source.made;
      seen = server.source.made;
      return isQuiet && seen > 0;
    });
    assert.ok(seen < chunks);
    assert.equal((await buffer(incoming)).length, chunks * chunk.length);
  });

  it('ends its source when the client is gone', async () => {
    const server = await startStreaming(500, { changed: { receiveMs: 60_000 } });
    const incoming = await get(server);
    incoming.destroy();
    await until(() => server.source.ended === 1);
    assert.ok(server.source.made < 500);
  });

  it('ends its source when the client stops reading', async () => {
    const server = await startStreaming(500, { changed: { receiveMs: 100 } });
    await get(server);
    await until(() => server.source.ended === 1);
    assert.ok(server.source.made < 500);
  });

  it('ends its source when its time is over, although the client reads', async () => {
    const server = await startStreaming(1e9, { changed: { receiveMs: 60_000, streamMs: 100 } });
    await assert.rejects(buffer(await get(server)), { code: 'ECONNRESET' });
    await until(() => server.source.ended === 1);
  });

  it('becomes a problem when it cannot begin', async () => {
    const server = await startStreaming(1, { failAt: 0 });
    const answer = await send(server.url, 'GET /');
    assert.deepEqual([answer.status, answer.body.detail], [503, 'The source is gone']);
  });

  it('breaks off when it fails later, so that no client takes it for whole', async () => {
    const server = await startStreaming(20, { failAt: 10 });
    await assert.rejects(buffer(await get(server)), { code: 'ECONNRESET' });
    assert.equal(server.faults.length, 1);
  });

  describe('to a client of HTTP/1.0, for which a closed connection would make it whole', () => {
    /** One whose stream has sent a part that the client has, and waits. Behind unread data node does not tell a reset. */
    async function startWaiting(t: TestContext) {
      let fail = () => {};
      const failure = new Promise<never>((_resolve, reject) => {
        fail = () => reject(new Error('The source is gone'));
      });
      async function* stream() {
        yield Buffer.from('first');
        await failure;
      }
      const file = { name: 'file.gz', type: 'application/gzip' };
      const server = await startTestServer({}, [], async () => download(file, stream));
      const { port, hostname } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      t.after(() => socket.destroy());
      let received = '';
      const error = new Promise<string>((resolve) => {
        socket.once('error', (reason) => resolve(codeOf(reason)));
        socket.once('end', () => resolve('ended'));
      });
      socket.setEncoding('utf8').on('data', (text) => {
        received += text;
      });
      socket.write('GET / HTTP/1.0\r\n\r\n');
      await until(() => received.endsWith('first'));
      return { server, fail, error };
    }

    it('is reset when it fails', async (t) => {
      const { server, fail, error } = await startWaiting(t);
      fail();
      assert.equal(await error, 'ECONNRESET');
      assert.equal(server.faults.length, 1);
    });

    it('is reset when the server has drained for too long', async (t) => {
      const { server, fail, error } = await startWaiting(t);
      await server.server.drain(0);
      assert.equal(await error, 'ECONNRESET');
      fail();
    });
  });

  it('is not cut off because a reply to a pipelined request waits behind it', async () => {
    const receiveMs = 100;
    let released = () => {};
    const longerThanReplies = new Promise<void>((resolve) => {
      released = resolve;
    });
    async function* stream() {
      yield Buffer.from('first');
      await longerThanReplies;
      yield Buffer.from('last');
    }
    const file = { name: 'file.gz', type: 'application/gzip' };
    const server = await startTestServer({ receiveMs }, [], async ({ path }) =>
      path === '/file' ? download(file, stream) : json(200, { at: path }),
    );
    const { port, hostname } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    socket.write(get('/file') + get('/next'));
    let received = '';
    socket.setEncoding('utf8').on('data', (text) => {
      received += text;
    });
    await until(() => received.includes('first'));
    await pause(3 * receiveMs);
    assert.equal(socket.closed, false);
    released();
    await until(() => received.includes('"at":"/next"'));
    assert.ok(received.includes('last'));
    socket.destroy();
  });

  it('is not begun for HEAD', async () => {
    const server = await startStreaming(1);
    const answer = await send(server.url, 'HEAD /');
    const { 'content-type': type, 'content-length': length } = answer.headers;
    assert.deepEqual([answer.status, type, length], [200, 'application/gzip', undefined]);
    assert.equal(server.source.begun, 0);
  });
});
