/**
 * The embedded server's Unix socket. It is in the folder of the cluster, which only the server's
 * user and root may enter, and asks for the password like any other way in.
 */
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { fitsAddress, socketPath } from '../postgres/unix_socket.ts';

/** The cluster's folder, as seen from the data folder that the server works in. */
const socketFolder = '..';

const highestPort = 65_535;

/** What the server is started with, so that it has a socket or none. */
export function socketSettings(withSocket: boolean): Readonly<Record<string, string>> {
  return {
    unix_socket_directories: withSocket ? socketFolder : '',
    unix_socket_permissions: '0700',
  };
}

/**
 * Whether the server is to be had by a socket in the folder. It may have been started without, by
 * another version for one, or its data folder be a link to elsewhere.
 */
export async function hasSocket(folder: string, port: number, limitMs: number): Promise<boolean> {
  if (!canHoldSocket(folder)) return false;
  const socket = connect(socketPath(folder, port));
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(limitMs) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Whether clients could name a socket in the folder: a comma in a URL parts two hosts. */
export function canHoldSocket(folder: string): boolean {
  return !folder.includes(',') && fitsAddress(socketPath(folder, highestPort));
}

/**
 * Takes away the lock of a killed server's socket, before one starts on the same port: its pid may be
 * that of another program now, or of a dead process that nobody has mourned. The folder is the
 * cluster's own, and the lock of the data folder keeps a second server from it.
 */
export async function removeSocketLock(folder: string, port: number): Promise<void> {
  await rm(`${socketPath(folder, port)}.lock`, { force: true });
}

/** Takes away what killed servers have left, each on a port of its own, beside the one that runs. */
export async function removeStaleSockets(folder: string, port: number): Promise<void> {
  const ours = basename(socketPath(folder, port));
  const sockets = (await readdir(folder)).filter((name) => /^\.s\.PGSQL\.\d+(\.lock)?$/.test(name));
  for (const name of sockets) {
    if (name !== ours && name !== `${ours}.lock`) await rm(join(folder, name), { force: true });
  }
}
