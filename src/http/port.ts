/**
 * Checks whether the server can listen, before a start that may take long. The check does not listen
 * itself: a connection that is accepted in that moment would be reset, and a proxy must not send a POST
 * again.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';

export type ListenAddress = { host: string; port: number };

/** Much longer than this machine needs to refuse a connection. */
const connectLimitMs = 1_000;

/**
 * Binds a UDP socket, which needs a valid address and the same rights as TCP. Then connects to the port,
 * to see whether another server has it.
 *
 * @throws {Error} of one line, from `cannotListen`.
 */
export async function assertCanListen(place: ListenAddress): Promise<void> {
  const { address, family } = await lookup(place.host).catch(cannotListen(place));
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  socket.bind(place.port, address);
  await once(socket, 'listening').catch((error) => {
    if (error.code !== 'EADDRINUSE') cannotListen(place)(error);
  });
  socket.close();
  if (place.port === 0) return;
  const served = await Promise.all(reachable(address).map((host) => isServed(place.port, host)));
  if (served.includes(true)) {
    cannotListen(place)(Object.assign(new Error('It is taken'), { code: 'EADDRINUSE' }));
  }
}

/** Returns a function that throws: one line with the reason why `listen` failed, and the next step. */
export function cannotListen({ host, port }: ListenAddress): (error: unknown) => never {
  return (error) => {
    throw new Error(`Cannot listen on ${host}:${port}: ${listenProblem(error)}`);
  };
}

function isServed(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: connectLimitMs });
    const end = (served: boolean) => {
      socket.destroy();
      resolve(served);
    };
    socket.once('connect', () => end(true));
    for (const event of ['error', 'timeout']) socket.once(event, () => end(false));
  });
}

/** Returns the local addresses that reach a server which listens on `address`. */
function reachable(address: string): string[] {
  if (address === '0.0.0.0') return ['127.0.0.1'];
  return address === '::' ? ['::1', '127.0.0.1'] : [address];
}

function listenProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') return 'the port is taken; set PORT to another one';
  if (code === 'EACCES') return 'this user may not use that port; set PORT to one above 1023';
  return error instanceof Error ? error.message : String(error);
}
