/**
 * Clients that send requests and do not read: strangers by the packet, a tenant by the page. The
 * heap is small and so are the limits, so that the control fills it soon.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { statusesIn } from './edge.ts';
import { type EdgeOptions, type EdgeServer, startEdge } from './edge_server.ts';
import { open, untilClosed } from './raw_client.ts';
import { startTestServer } from './test_server.ts';

const MiB = 1_024 * 1_024;
/** Far longer than any of these takes, even on a busy machine. */
const patienceMs = 60_000;
const patient = { timeout: 4 * patienceMs };

const heapMegabytes = 160;
const unread = {
  replyBytes: 4_096,
  connectionBytes: 200 * MiB,
  holderBytes: 40 * MiB,
  bytes: 80 * MiB,
};
const hogs = 6;
/** So that only the limits under test end a connection here. */
const changed = { unread, receiveMs: 10 * patienceMs };

describe('a packet full of requests', patient, () => {
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const inPacket = 100;
  const pipelined = 16;

  /** Requests of one packet that Node has turned into objects. */
  async function madeOf(bound: number): Promise<number> {
    const server = await startTestServer({ pipelined: bound });
    let made = 0;
    const count = () => {
      made += 1;
    };
    subscribe('http.server.request.start', count);
    const socket = await open(server.url);
    socket.write(
      `${request.repeat(inPacket)}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    await untilClosed(socket);
    unsubscribe('http.server.request.start', count);
    return made;
  }

  it('is read up to the bound on pipelined requests', async () => {
    assert.equal(await madeOf(pipelined), pipelined);
  });
  it('control: is read to its end without the bound', async () => {
    assert.equal(await madeOf(2 * inPacket), inPacket + 1);
  });
  it('from a hundred clients that read nothing ends their connections', async () => {
    const edge = await startEdge({ heapMegabytes });
    const strangers = Array.from({ length: 110 }, () => ask(edge, request.repeat(2_000)));
    await Promise.all(strangers);
    await until(async () => (await edge.state())?.connections === 0, patienceMs);
    assert.equal((await fetch(edge.url)).status, 200);
  });
});

describe('a tenant that reads none of its pages', patient, () => {
  const page = pageOf(randomUUID());

  async function askForPages(options: EdgeOptions, more = (_: EdgeServer) => Promise.resolve()) {
    const edge = await startEdge({ ...options, heapMegabytes, changed });
    await more(edge);
    for (let at = 0; at < hogs; at += 1) await ask(edge, page.repeat(30));
    return edge;
  }

  for (const [whose, bytes] of Object.entries({
    'its own': page,
    "another tenant's": pageOf(randomUUID()),
  })) {
    it(`loses its connections, while ${whose} slow reader is served`, async () => {
      const slow: Socket[] = [];
      const edge = await askForPages({}, async (early) => {
        slow.push(await ask(early, bytes));
        await until(async () => ((await early.state())?.unreadBytes ?? 0) > 0, patienceMs);
      });
      await until(async () => (await edge.state())?.connections === slow.length, patienceMs);
      for (const socket of slow) assert.deepEqual(await readSlowly(socket), [200]);
      assert.equal((await fetch(edge.url)).status, 200);
    });
  }
  it('control: fills the heap without the bounds', async () => {
    const edge = await askForPages({ guardsOff: ['unread'] });
    assert.match(await edge.ended(), /heap out of memory/);
  });
});

function pageOf(tenant: string): string {
  return `GET /page HTTP/1.1\r\nHost: a\r\nX-Tenant-ID: ${tenant}\r\n\r\n`;
}

/** A connection that reads nothing, and stays open until the server closes it or ends. */
async function ask(edge: EdgeServer, bytes: string): Promise<Socket> {
  const socket = (await open(edge.url)).pause();
  socket.write(bytes);
  return socket;
}

/**
 * In small portions, up to the end of the first page.
 *
 * @returns the statuses.
 */
async function readSlowly(socket: Socket): Promise<number[]> {
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    await new Promise((resolve) => setImmediate(resolve));
    if (text.endsWith(']')) break;
  }
  assert.ok(text.endsWith(']'), 'the page should be whole');
  return statusesIn(text);
}
