/**
 * Whether we could listen, asked before anything else is done: a start may take long, and what stands in
 * its way shall be told at once.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

export type Place = { host: string; port: number };

/**
 * The port is given back at once: nothing shall be accepted before it can be served.
 *
 * @throws {Error} in one line, as `cannotListen` says it.
 */
export async function assertCanListen(place: Place): Promise<void> {
  const probe = createServer().listen(place.port, place.host);
  await once(probe, 'listening').catch(cannotListen(place));
  probe.close();
  await once(probe, 'close');
}

/** Says in one line why `listen` failed, and what to do. */
export function cannotListen({ host, port }: Place): (error: unknown) => never {
  return (error) => {
    throw new Error(`Cannot listen on ${host}:${port}: ${listenProblem(error)}`);
  };
}

function listenProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') return 'the port is taken; set PORT to another one';
  if (code === 'EACCES') return 'this user may not use that port; set PORT to one above 1023';
  return error instanceof Error ? error.message : String(error);
}
