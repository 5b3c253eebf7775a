/**
 * Unix sockets in a database URL as libpq writes them: the host is the absolute path of a folder,
 * percent-encoded, and the port is part of the socket's name in it. The driver would look such a
 * host up as a name.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

const defaultPort = 5_432;

/** The bytes of an address, `sun_path`, without the zero at its end. */
const longestPath = process.platform === 'darwin' ? 103 : 107;

/** What the driver needs to be told of a URL besides the URL. */
export type Transport = { path?: string; ssl?: false };

/**
 * The path of the socket that a URL names; nothing when it names a host.
 *
 * @throws {Error} when the path is too long for an address.
 * @example transportOf('postgres://me@%2Frun%2Fpg/db').path // '/run/pg/.s.PGSQL.5432'
 */
export function transportOf(url: string): Transport {
  const { hostname, port } = new URL(url);
  const folder = decodeURIComponent(hostname);
  if (!folder.startsWith('/')) return {};
  const path = socketPath(folder, Number(port) || defaultPort);
  // Node would cut it without a word, and connect to somebody else's.
  if (!fitsAddress(path)) {
    throw new Error(`Cannot connect to "${path}": it has more than ${longestPath} bytes`);
  }
  // As libpq does: `sslmode` says nothing of connections that do not leave the machine.
  return { path, ssl: false };
}

/** Where the server that listens on a port keeps its socket. */
export function socketPath(folder: string, port: number): string {
  return `${folder}/.s.PGSQL.${port}`;
}

/** Whether a socket may be made, and found, at a path. */
export function fitsAddress(path: string): boolean {
  return Buffer.byteLength(path) <= longestPath;
}
