/**
 * Database URLs by libpq's rules: parsed into libpq's keywords, and formatted in one canonical form.
 * `connection_options.ts` interprets the keywords.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

/** A fault of a URL. The message never repeats a value, because it may be the password. */
export class ConnectionUrlError extends Error {
  override readonly name = 'ConnectionUrlError';
}

/** Keywords of libpq with their values; `host` and `port` may be comma-separated lists. */
export type Keywords = Readonly<Record<string, string>>;

/** An unescaped at sign or slash in a password splits a URL at the wrong place. */
export const unescaped = 'expected special characters of its password as %40, %2F …';

const example = 'postgres://user:password@host:5432/database';

/**
 * Returns the keywords of a URL. Those of its query override those before it.
 *
 * @throws {ConnectionUrlError} when libpq could not parse it.
 * @example keywordsIn('postgres://me@[::1]:5433/k%24enn').dbname // 'k$enn'
 */
export function keywordsIn(url: string): Keywords {
  const form = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;
  const [whole, credentials, hosts = '', dbname, query = ''] = form.exec(url) ?? [];
  if (whole === undefined) throw new ConnectionUrlError(`expected a URL such as ${example}`);
  const [user, password] = credentials === undefined ? [] : splitAt(credentials, ':');
  // The part of a password behind an unescaped slash; a name must not be repeated in messages then.
  if (dbname?.includes('@')) throw new ConnectionUrlError(unescaped);
  const keywords: Record<string, string> = { ...hostsIn(hosts) };
  for (const [name, text] of Object.entries({ user, password, dbname })) {
    if (text) keywords[name] = decoded(text);
  }
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [name, value, more] = pair.split('=');
    if (name === undefined || value === undefined || more !== undefined) {
      throw new ConnectionUrlError('expected name=value pairs after its question mark');
    }
    Object.assign(keywords, keyword(decoded(name), decoded(value)));
  }
  return keywords;
}

/**
 * Returns the canonical URL of keywords: equal keywords have equal URLs. `new URL` cannot parse all of them, such as
 * one with several hosts.
 */
export function urlOf({ user, password, host = '', port, dbname, ...others }: Keywords): string {
  // Without a host, as with `hostaddr` alone, there is no place for a list of ports before the path.
  const ports = host === '' ? [] : (port?.split(',') ?? []);
  const hosts = host.split(',').map((one, at) => {
    const number = ports.length > 1 ? ports[at] : ports[0];
    return `${encodedHost(one)}${number ? `:${number}` : ''}`;
  });
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const isAnonymous = user === undefined && password === undefined;
  const credentials = isAnonymous ? '' : `${encodeURIComponent(user ?? '')}${secret}@`;
  const left = host === '' && port !== undefined ? { ...others, port } : others;
  const query = Object.entries(left).map((pair) => pair.map(encodeURIComponent).join('='));
  const place = `${hosts.join(',')}/${encodeURIComponent(dbname ?? '')}`;
  return `postgres://${credentials}${place}${query.length > 0 ? '?' : ''}${query.join('&')}`;
}

function hostsIn(text: string): Keywords {
  if (text === '') return {};
  const pairs = text.split(',').map((part) => {
    // An IPv6 address needs brackets, because a colon begins the port.
    const [, bracketed, plain = '', port] =
      /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/.exec(part) ?? [];
    if (bracketed === undefined && plain === '' && part !== '' && port === undefined) {
      throw new ConnectionUrlError(
        'expected an IPv6 address in brackets, and a port behind a colon',
      );
    }
    return { host: decoded(bracketed ?? plain), port: decoded(port ?? '') };
  });
  const host = pairs.map((pair) => pair.host).join(',');
  const port = pairs.map((pair) => pair.port).join(',');
  return { ...(host && { host }), ...(/[^,]/.test(port) && { port }) };
}

/** JDBC's `ssl=true` means `sslmode=require`, as it does for libpq. */
function keyword(name: string, value: string): Keywords {
  return name === 'ssl' && value === 'true' ? { sslmode: 'require' } : { [name]: value };
}

function encodedHost(host: string): string {
  const encoded = encodeURIComponent(host);
  return host.includes(':') ? `[${encoded.replaceAll('%3A', ':')}]` : encoded;
}

function splitAt(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + mark.length)];
}

function decoded(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    if (!plain.includes('\0')) return plain;
  } catch {
    // The error below names the fault.
  }
  throw new ConnectionUrlError('expected each percent sign in it to be written as %25');
}
