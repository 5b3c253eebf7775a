/**
 * Reads the URL of Redis. The client itself would accept any option from the URL's query, even its
 * timeouts.
 *
 * Source: https://www.iana.org/assignments/uri-schemes/prov/redis
 */
import { isIP } from 'node:net';

export type RedisAddress = {
  host: string;
  port: number;
  username?: string;
  password?: string;
  db: number;
  family?: 4 | 6;
  tls?: { servername?: string };
};

/** @throws {Error} that names the expected form, and never quotes a value, which may be secret. */
export function redisAddress(text: string): RedisAddress {
  const { protocol, hostname, port, username, password, pathname, searchParams } = parsed(text);
  const query = Object.fromEntries(searchParams);
  const { db = pathname.slice(1), family, ...unknown } = query;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new Error('expected no parameters but db and family');
  if (!/^\d{0,5}$/.test(db)) throw new Error('expected the number of a database');
  if (family !== undefined && !/^[046]$/.test(family)) throw new Error('expected 4 or 6 as family');
  // Only a URL has brackets around an IPv6 address.
  const host = decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: port === '' ? 6_379 : Number(port),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    db: Number(db),
    ...(family === '4' && { family: 4 as const }),
    ...(family === '6' && { family: 6 as const }),
    ...(protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
  };
}

function parsed(text: string): URL {
  try {
    const url = new URL(text);
    decodeURIComponent(`${url.username}${url.password}${url.hostname}`);
    if (/^rediss?:$/.test(url.protocol) && url.hostname !== '' && url.port !== '0') return url;
  } catch {
    // Thrown below.
  }
  throw new Error('expected a URL such as redis://user:password@host:6379/0');
}
