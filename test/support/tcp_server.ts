/** A server on 127.0.0.1 that is not Postgres: the test decides how it treats a connection. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export type TcpServer = {
  /** A database URL that leads to it. */
  url: string;
  /** The number of connections so far, and of those that are still open. */
  accepted(): number;
  open(): number;
  close(): void;
};

export async function startTcpServer(onConnection: (socket: Socket) => void): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket
      .on('close', () => sockets.delete(socket))
      .on('error', () => {})
      .resume();
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `postgres://nobody@127.0.0.1:${port}/nothing?sslmode=disable`,
    accepted: () => accepted,
    open: () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
