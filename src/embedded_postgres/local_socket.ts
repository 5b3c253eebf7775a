/**
 * The Unix socket of the embedded server. It is in the folder of the cluster, which only the server's user
 * and root may enter. It needs the password, like TCP.
 */
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { fitsAddress, socketPath } from '../postgres/unix_socket.ts';

/** The cluster's folder, relative to the server's working directory, which is the data folder. */
const socketFolder = '..';

const highestPort = 65_535;

/** Returns settings that give the server a socket or none. */
export function socketSettings(withSocket: boolean): Readonly<Record<string, string>> {
  return {
    unix_socket_directories: withSocket ? socketFolder : '',
    unix_socket_permissions: '0700',
  };
}

/**
 * Whether the server accepts connections by a socket in the folder. It may have been started without one,
 * for example by another version, or the data folder may be a link to another place.
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

/** Whether clients can name a socket in the folder: a comma in a URL separates two hosts. */
export function canHoldSocket(folder: string): boolean {
  return !folder.includes(',') && fitsAddress(socketPath(folder, highestPort));
}

/**
 * Removes the lock file of a killed server's socket, before a server starts on the same port. Its pid may
 * belong to another program now, or to a zombie. This is safe, because the lock of the data folder
 * prevents a second server.
 */
export async function removeSocketLock(folder: string, port: number): Promise<void> {
  await rm(`${socketPath(folder, port)}.lock`, { force: true });
}

/** Removes the sockets and lock files of killed servers, which had other ports. */
export async function removeStaleSockets(folder: string, port: number): Promise<void> {
  const ours = basename(socketPath(folder, port));
  const sockets = (await readdir(folder)).filter((name) => /^\.s\.PGSQL\.\d+(\.lock)?$/.test(name));
  for (const name of sockets) {
    if (name !== ours && name !== `${ours}.lock`) await rm(join(folder, name), { force: true });
  }
}
