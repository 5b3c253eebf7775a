/**
 * The options of a database URL, checked. No keyword changes Kennel's own limits, or the meaning of a
 * statement.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
import { userInfo } from 'node:os';
import { type Keywords, unescaped } from './connection_url.ts';
import { fail, KeywordReader } from './keyword_reader.ts';
import { fitsAddress, socketPath } from './unix_socket.ts';

/** The address of one server: the `path` of a Unix socket, or a `name` and the `address` to connect to. */
export type HostAddress = { path: string } | { name: string; address: string; port: number };

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

export type TlsOptions = {
  mode: (typeof sslModes)[number];
  /** A file of certificates, or null for those that node trusts. */
  rootCertificates: string | null;
  revocations: string | null;
  client: { certificate: string; key: string; passphrase: string | undefined } | null;
  minVersion: TlsVersion | undefined;
  maxVersion: TlsVersion | undefined;
  /** Whether the handshake names the host (SNI), which it does unencrypted. */
  namesHost: boolean;
  /** TLS begins with the first byte, without an SSLRequest. */
  isDirect: boolean;
};

export type ConnectionOptions = {
  /** In the order in which they are tried. */
  hosts: readonly HostAddress[];
  user: string;
  password: string | undefined;
  database: string;
  tls: TlsOptions;
  channelBinding: 'disable' | 'prefer' | 'require';
  /** Whether `require_auth` allows an authentication method. */
  allowsAuth: (method: AuthMethod) => boolean;
  /** A standby is skipped for the next host. */
  mustWrite: boolean;
  /** The longest time for one host, besides the limit for all hosts together. */
  connectTimeoutMs: number;
  keepAlive: { enabled: boolean; idleMs: number };
};

const authMethods = ['none', 'password', 'md5', 'scram-sha-256'] as const;
export type AuthMethod = (typeof authMethods)[number];

const tlsVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type TlsVersion = (typeof tlsVersions)[number];

/**
 * Returns the options of a URL.
 *
 * @throws {ConnectionUrlError} for a wrong keyword. The message names the keyword, and no value.
 */
export function connectionOptions(keywords: Keywords): ConnectionOptions {
  const reader = new KeywordReader(keywords);
  const user = reader.text('user') ?? userInfo().username;
  const options: ConnectionOptions = {
    hosts: hostsOf(reader),
    user,
    password: reader.text('password'),
    database: reader.text('dbname') ?? user,
    tls: tlsOf(reader),
    channelBinding: reader.oneOf('channel_binding', ['disable', 'prefer', 'require'], 'prefer'),
    allowsAuth: allowedMethods(reader.text('require_auth')),
    mustWrite:
      reader.oneOf('target_session_attrs', ['any', 'read-write', 'primary'], 'any') !== 'any',
    connectTimeoutMs: secondsAsMs(reader.integer('connect_timeout')),
    keepAlive: {
      enabled: reader.oneOf('keepalives', ['0', '1'], '1') === '1',
      idleMs: (reader.integer('keepalives_idle') ?? 0) * 1_000,
    },
  };
  reader.oneOf('gssencmode', ['disable', 'prefer'], 'disable');
  reader.oneOf('min_protocol_version', ['3.0'], '3.0');
  reader.assertDone();
  return options;
}

function hostsOf(reader: KeywordReader): HostAddress[] {
  const names = reader.list('host');
  const addresses = reader.list('hostaddr');
  const ports = reader.list('port');
  const count = Math.max(names.length, addresses.length);
  if (names.length > 0 && addresses.length > 0 && names.length !== addresses.length) {
    fail('expected as many values of hostaddr as of host');
  }
  if (ports.length > 1 && ports.length !== count)
    fail('expected one port for each host, or for all');
  if (count === 0) fail('expected a host in it');
  return Array.from({ length: count }, (_none, at) => {
    const port = portOf(ports.length > 1 ? ports[at] : ports[0]);
    return hostOf(names[at] ?? '', addresses[at] ?? '', port);
  });
}

function hostOf(name: string, address: string, port: number): HostAddress {
  if (name === '' && address === '') fail('expected the name of each host');
  if (!name.startsWith('/') || address !== '') {
    if (/[@/\s]/.test(name + address)) fail(unescaped);
    return { name: name || address, address: address || name, port };
  }
  const path = socketPath(name, port);
  // Node would truncate the path without an error, and connect to another socket.
  if (!fitsAddress(path)) fail('expected the path of a socket that fits into an address');
  return { path };
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return defaultPort;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port < 65_536 ? port : fail('expected ports from 1 to 65535');
}

const defaultPort = 5_432;

function tlsOf(reader: KeywordReader): TlsOptions {
  const root = reader.text('sslrootcert');
  const isSystem = root === 'system';
  const asked = reader.oneOf('sslmode', sslModes, isSystem ? 'verify-full' : 'prefer');
  if (isSystem && asked !== 'verify-full')
    fail('expected sslmode=verify-full with sslrootcert=system');
  if (asked === 'verify-ca' && !root) fail('expected an sslrootcert with sslmode=verify-ca');
  const negotiation = reader.oneOf('sslnegotiation', ['postgres', 'direct'], 'postgres');
  const isDirect = negotiation === 'direct';
  if (isDirect && ['disable', 'allow', 'prefer'].includes(asked)) {
    fail('expected sslmode=require or more with sslnegotiation=direct');
  }
  return {
    // As in libpq, `require` with root certificates verifies the server's certificate.
    mode: asked === 'require' && root ? 'verify-ca' : asked,
    rootCertificates: isSystem || !root ? null : root,
    revocations: reader.text('sslcrl') ?? null,
    client: clientOf(reader),
    minVersion: reader.oneOf('ssl_min_protocol_version', tlsVersions, 'TLSv1.2'),
    maxVersion: reader.optional('ssl_max_protocol_version', tlsVersions),
    namesHost: reader.oneOf('sslsni', ['0', '1'], '1') === '1',
    isDirect,
  };
}

function clientOf(reader: KeywordReader): TlsOptions['client'] {
  const certificate = reader.text('sslcert');
  const key = reader.text('sslkey');
  const passphrase = reader.text('sslpassword');
  const mode = reader.oneOf('sslcertmode', ['disable', 'allow'], 'allow');
  if (!certificate !== !key) fail('expected sslcert and sslkey together');
  return mode === 'allow' && certificate && key ? { certificate, key, passphrase } : null;
}

/** Returns the name of a host for messages. */
export function hostLabel(host: HostAddress): string {
  if ('path' in host) return host.path;
  return `${host.name.includes(':') ? `[${host.name}]` : host.name}:${host.port}`;
}

/** Parses a list of methods. One of them must be used; with `!` none of them may be. */
function allowedMethods(text: string | undefined): ConnectionOptions['allowsAuth'] {
  if (text === undefined) return () => true;
  const names = text.split(',').map((name) => name.trim());
  const isNegative = names.every((name) => name.startsWith('!'));
  const known = new Set<string>([...authMethods, 'gss', 'sspi', 'oauth']);
  const plain = names.map((name) => (isNegative ? name.slice(1) : name));
  if (plain.some((name) => !known.has(name))) fail('expected methods of libpq in require_auth');
  return (method) => plain.includes(method) !== isNegative;
}

/** Returns infinity for no value or 0, as in libpq: then only the limit for all hosts together holds. */
function secondsAsMs(seconds: number | undefined): number {
  return seconds !== undefined && seconds > 0 ? seconds * 1_000 : Number.POSITIVE_INFINITY;
}
