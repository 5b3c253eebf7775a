/** A second Postgres server for tenants' databases, which can be cut off and come back. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { startTestCluster } from './test_cluster.ts';

/** A port before a server. */
export type ServerProxy = {
  /** The URL of the server by way of this port. */
  url: string;
  /** Ends all connections and refuses new ones. */
  cutOff(): Promise<void>;
  /** Takes connections, also new ones, and lets nothing through. */
  hang(): void;
  comeBack(): Promise<void>;
};

/** Its URL is the superuser's. */
export type SecondServer = ServerProxy & {
  /** The superuser's URL of the server itself. */
  directUrl: string;
  stop(): Promise<void>;
};

export async function startSecondServer(): Promise<SecondServer> {
  const cluster = await startTestCluster({ isCopy: false });
  const proxy = await openProxy(cluster.url);
  const stop = async () => {
    await proxy.cutOff();
    await cluster.stop();
  };
  return { ...proxy, directUrl: cluster.url, stop };
}

export async function openProxy(directUrl: string): Promise<ServerProxy> {
  const direct = new URL(directUrl);
  const sockets = new Set<Socket>();
  let isHanging = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const forward = (client: Socket) => {
    keep(client);
    if (isHanging) return;
    const server = connect(Number(direct.port), direct.hostname);
    keep(server);
    client.pipe(server).pipe(client);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  };
  let listener = await listen(forward, 0);
  const port = portOf(listener);
  const cutOff = async () => {
    const closed = once(listener, 'close');
    listener.close();
    for (const socket of sockets) socket.destroy();
    if (listener.listening) await closed;
  };
  const url = new URL(direct);
  url.port = `${port}`;
  return {
    url: `${url}`,
    cutOff,
    hang: () => {
      isHanging = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    comeBack: async () => {
      isHanging = false;
      for (const socket of sockets) socket.destroy();
      if (!listener.listening) listener = await listen(forward, port);
    },
  };
}

async function listen(forward: (client: Socket) => void, port: number): Promise<Server> {
  const server = createServer(forward).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address === 'object' && address) return address.port;
  throw new Error('Cannot read the port: the server does not listen');
}
