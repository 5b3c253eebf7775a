/**
 * Whether we could listen, asked before anything else is done: a start may take long, and what stands in
 * its way shall be told at once. It is asked without listening: a connection that was taken in that
 * moment would be reset, and a proxy must not send its POST again.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';

export type Place = { host: string; port: number };

/** Far above what it takes to refuse a connection on this machine. */
const connectLimitMs = 1_000;

/**
 * Tells what is wrong with the address, and with the port as far as UDP shows it: the rights it needs
 * are the same. Whether another server has it, a connection shows.
 *
 * @throws {Error} in one line, as `cannotListen` says it.
 */
export async function assertCanListen(place: Place): Promise<void> {
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

/** Says in one line why `listen` failed, and what to do. */
export function cannotListen({ host, port }: Place): (error: unknown) => never {
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

/** The addresses of this machine that would reach a server on that one. */
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
