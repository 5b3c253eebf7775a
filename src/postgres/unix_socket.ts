/**
 * Unix sockets as libpq knows them: a host that begins with a slash is the folder, and the port is
 * part of the socket's name in it.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-HOST
 */

/** The bytes of an address, `sun_path`, without the zero at its end. */
const longestPath = process.platform === 'darwin' ? 103 : 107;

/** Where the server that listens on a port keeps its socket. */
export function socketPath(folder: string, port: number): string {
  return `${folder}/.s.PGSQL.${port}`;
}

/** Whether a socket may be made, and found, at a path. */
export function fitsAddress(path: string): boolean {
  return Buffer.byteLength(path) <= longestPath;
}
