/**
 * Unix sockets by libpq's rules: a host that begins with a slash is a folder, and the port is part of the
 * socket's name in it.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-HOST
 */

/** The most bytes of a path, `sun_path` without its zero byte. */
const maxPathBytes = process.platform === 'darwin' ? 103 : 107;

/** Returns the path of the socket of the server that listens on a port. */
export function socketPath(folder: string, port: number): string {
  return `${folder}/.s.PGSQL.${port}`;
}

/** Whether a path is short enough for a socket. */
export function fitsAddress(path: string): boolean {
  return Buffer.byteLength(path) <= maxPathBytes;
}
