/**
 * What a database URL asks for, checked: each keyword of libpq is used, passed over because it has no
 * place here, or refused. None changes Kennel's own limits, or how a statement is understood.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
import { userInfo } from 'node:os';
import { ConnectionUrlError, type Keywords } from './connection_url.ts';
import { fitsAddress, socketPath } from './unix_socket.ts';

/** Where one server may be: `path` is that of a Unix socket, `address` where `name` is not looked up. */
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
  /** Whether the host's name travels in the open, for a server that has several. */
  namesHost: boolean;
  /** TLS begins with the first byte, without asking. */
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
  /** Whether a way to prove who we are may be used. */
  allowsAuth: (method: AuthMethod) => boolean;
  /** A server that only reads is passed over for the next. */
  mustWrite: boolean;
  /** The most for one host, besides the limit of the whole opening. */
  connectTimeoutMs: number;
  keepAlive: { enabled: boolean; idleMs: number };
};

const authMethods = ['none', 'password', 'md5', 'scram-sha-256'] as const;
export type AuthMethod = (typeof authMethods)[number];

const tlsVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type TlsVersion = (typeof tlsVersions)[number];

/**
 * Keywords that change nothing: Kennel sets it itself, the operating system keeps its own value,
 * or it belongs to GSSAPI, which is not spoken.
 */
const ignored = new Set([
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'load_balance_hosts',
  'sslcompression',
  'krbsrvname',
  'gsslib',
  'gssdelegation',
  'max_protocol_version',
]);

/** Keywords of libpq that would be dangerous, or misleading, to pass over. */
const refused: Readonly<Record<string, string>> = {
  options: 'Kennel sets its sessions itself',
  passfile: 'give the password in the URL',
  requirepeer: 'the owner of a socket cannot be checked',
  replication: 'sessions for replication run no statements',
  service: 'service files are not read',
  servicefile: 'service files are not read',
  sslcrldir: 'give one file as sslcrl',
  sslkeylogfile: 'keys are not written to files',
};

/**
 * What a URL asks for.
 *
 * @throws {ConnectionUrlError} that names the keyword which is wrong, and no value.
 */
export function connectionOptions(keywords: Keywords): ConnectionOptions {
  const reader = new KeywordReader(keywords);
  const options: ConnectionOptions = {
    hosts: hostsOf(reader),
    user: reader.text('user') ?? userInfo().username,
    password: reader.text('password'),
    database: reader.text('dbname') ?? fail('expected the name of a database in its path'),
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
    // An at sign or a slash in a password has cut the URL at the wrong place.
    if (/[@/\s]/.test(name + address))
      fail('expected special characters of its password as %40, %2F …');
    return { name: name || address, address: address || name, port };
  }
  const path = socketPath(name, port);
  // Node would cut it without a word, and connect to somebody else's.
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
    // As libpq does: who names certificates wants them looked at.
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

/** A host as a message names it. */
export function nameOf(host: HostAddress): string {
  if ('path' in host) return host.path;
  return `${host.name.includes(':') ? `[${host.name}]` : host.name}:${host.port}`;
}

/** A list of methods, one of which must be used; or, with `!`, of those that must not. */
function allowedMethods(text: string | undefined): ConnectionOptions['allowsAuth'] {
  if (text === undefined) return () => true;
  const names = text.split(',').map((name) => name.trim());
  const isNegative = names.every((name) => name.startsWith('!'));
  const known = new Set<string>([...authMethods, 'gss', 'sspi', 'oauth']);
  const plain = names.map((name) => (isNegative ? name.slice(1) : name));
  if (plain.some((name) => !known.has(name))) fail('expected methods of libpq in require_auth');
  return (method) => plain.includes(method) !== isNegative;
}

/** Without one, or with 0 as libpq has it, the limit of the whole opening is left. */
function secondsAsMs(seconds: number | undefined): number {
  return seconds !== undefined && seconds > 0 ? seconds * 1_000 : Number.POSITIVE_INFINITY;
}

/** Remembers which keywords were asked for: what is left over is unknown. */
class KeywordReader {
  readonly #keywords: Keywords;
  readonly #left: Set<string>;

  constructor(keywords: Keywords) {
    this.#keywords = keywords;
    this.#left = new Set(Object.keys(keywords).filter((name) => !ignored.has(name)));
  }

  /** An empty value counts as none, as it does for libpq. */
  text(name: string): string | undefined {
    this.#left.delete(name);
    return this.#keywords[name] || undefined;
  }

  list(name: string): string[] {
    return this.text(name)?.split(',') ?? [];
  }

  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return /^\s*-?\d{1,9}\s*$/.test(text) ? Number(text) : fail(`expected an integer as ${name}`);
  }

  oneOf<Value extends string>(name: string, values: readonly Value[], otherwise: Value): Value {
    return this.optional(name, values) ?? otherwise;
  }

  optional<Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = values.find((one) => one === text);
    return value ?? fail(`expected ${values.join(', ')} as ${name}`);
  }

  /** @throws {ConnectionUrlError} for a keyword that nobody has asked for. */
  assertDone(): void {
    for (const name of this.#left) {
      const reason = refused[name];
      if (reason) fail(`expected no ${name} in it: ${reason}`);
      fail(`expected libpq's parameters alone${/^\w{1,40}$/.test(name) ? `, not ${name}` : ''}`);
    }
  }
}

function fail(message: string): never {
  throw new ConnectionUrlError(message);
}
