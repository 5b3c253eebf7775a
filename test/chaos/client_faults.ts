/** Faults that misbehaving clients cause. */
import type { Socket } from 'node:net';
import { open } from '../http/raw_client.ts';
import { choose } from '../support/random.ts';
import type { Fault, FaultTargets } from './faults.ts';

const track = 'clients';

/** The number of sockets of one fault. */
const crowd = 30;
const cutEveryMs = 20;
const strangers = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2_000);

export const clientFaults = {
  'clients are cut off': {
    track,
    lastsMs: [300, 1_500],
    takesMs: 100,
    begin: async ({ callers }, random) => {
      const timer = setInterval(() => choose(callers, random).cut(), cutEveryMs);
      return async () => clearInterval(timer);
    },
  },
  'clients send half a request': {
    track,
    lastsMs: [300, 3_000],
    takesMs: 100,
    begin: async (targets, random) => {
      const request = `POST /api/pets HTTP/1.1\r\n${headers(targets)}content-type: application/json\r\ncontent-length: 64\r\n\r\n{"name":"half", "spe`;
      const sockets = await openSockets(targets);
      for (const socket of sockets) {
        socket.write(request.slice(0, Math.ceil(random() * request.length)));
      }
      return destroyAll(sockets);
    },
  },
  'clients read no reply': {
    track,
    lastsMs: [300, 3_000],
    takesMs: 100,
    begin: async (targets) => {
      const request = `GET /api/pets?limit=100 HTTP/1.1\r\n${headers(targets)}\r\n`;
      const sockets = await openSockets(targets);
      for (const socket of sockets) socket.pause().write(request.repeat(16));
      return destroyAll(sockets);
    },
  },
  'clients ask for a tunnel and reset': {
    track,
    lastsMs: [300, 1_500],
    takesMs: 100,
    begin: async (targets) => {
      const request = `GET /api/me HTTP/1.1\r\n${headers(targets)}\r\n`;
      for (const socket of await openSockets(targets)) {
        socket.write(`${request}CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n`);
        setImmediate(() => socket.resetAndDestroy());
      }
      return async () => {};
    },
  },
  'clients send a packet full of requests': {
    track,
    lastsMs: [300, 3_000],
    takesMs: 100,
    begin: async (targets) => {
      const sockets = await openSockets(targets);
      for (const socket of sockets) socket.pause().write(strangers);
      return destroyAll(sockets);
    },
  },
} satisfies Record<string, Fault>;

function headers({ bystander: { slug, apiKey } }: FaultTargets): string {
  return `host: ${slug}.localhost\r\nauthorization: Bearer ${apiKey}\r\n`;
}

/** Fewer if the server accepts no connection at the moment. */
async function openSockets({ server }: FaultTargets): Promise<Socket[]> {
  const opened = await Promise.allSettled(Array.from({ length: crowd }, () => open(server.url)));
  return opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function destroyAll(sockets: readonly Socket[]): () => Promise<void> {
  return async () => {
    for (const socket of sockets) socket.destroy();
  };
}
