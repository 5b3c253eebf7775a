/**
 * Opens a session: tries one host after the other, with TLS, authentication and settings, all within one
 * deadline. Each socket has an error listener for its whole life.
 */
import { connect, type Socket } from 'node:net';
import { Refusal, unavailable } from '../kernel/errors.ts';
import { applicationName } from './application_name.ts';
import type { ConnectionOptions, HostAddress } from './connection_options.ts';
import { ServerError } from './protocol/server_error.ts';
import { type SessionOptions, sessionSettings } from './session_settings.ts';
import { parseSessionUrl, type SessionUrl } from './session_url.ts';
import { type Startup, type StartupLimits, startSession } from './startup.ts';
import { HandshakeError, offersTls, readTlsFiles, secured } from './tls.ts';

export type SessionLimits = SessionOptions &
  StartupLimits & {
    /** The longest time to open a session, for all hosts together. */
    connectTimeoutMs: number;
  };

export type Session = { pid: number; socket: Socket };

/** @throws {Refusal} `unavailable` with the cause, when no session could be opened in time. */
export async function openSession(
  url: SessionUrl,
  limits: SessionLimits,
  name = applicationName(),
): Promise<Session> {
  const { options, settings: own } = parseSessionUrl(url);
  const settings = { application_name: name, ...sessionSettings(limits), ...own };
  const startup = { options, settings, limits };
  const deadline = performance.now() + limits.connectTimeoutMs;
  let failure: unknown;
  for (const [at, host] of options.hosts.entries()) {
    // A host that does not answer leaves time for the next ones.
    const shareMs = (deadline - performance.now()) / (options.hosts.length - at);
    try {
      return await openInTime(host, startup, Math.min(shareMs, options.connectTimeoutMs));
    } catch (error) {
      failure = error;
      if (endsSearch(error)) break;
    }
  }
  if (failure instanceof Refusal) throw failure;
  throw unavailable('The database is not available; try again later', failure);
}

/** As in libpq, no further host is tried when a server refuses the login, unless it is starting up. */
function endsSearch(error: unknown): boolean {
  return error instanceof ServerError && error.code !== '57P03';
}

async function openInTime(host: HostAddress, startup: Startup, limitMs: number): Promise<Session> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const text = 'The database did not accept a connection in time; try again later';
      const reason = unavailable(text, Object.assign(new Error(text), { code: 'ETIMEDOUT' }));
      reject(reason);
      abort.abort(reason);
    }, limitMs);
  });
  try {
    return await Promise.race([openWithFallback(host, startup, abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

type Encryption = 'none' | 'if offered' | 'always';

/** With `allow` and `prefer` the other encryption is tried when the first one is not possible. */
async function openWithFallback(
  host: HostAddress,
  startup: Startup,
  signal: AbortSignal,
): Promise<Session> {
  const [first, second] = encryptionsFor(host, startup.options);
  try {
    return await open(host, first, startup, signal);
  } catch (error) {
    if (second === undefined || !isCausedByEncryption(error)) throw error;
    return open(host, second, startup, signal);
  }
}

function encryptionsFor(host: HostAddress, { tls }: ConnectionOptions): [Encryption, Encryption?] {
  // As in libpq, `sslmode` does not apply to Unix sockets.
  if ('path' in host || tls.mode === 'disable') return ['none'];
  if (tls.mode === 'allow') return ['none', 'always'];
  return tls.mode === 'prefer' ? ['if offered', 'none'] : ['always'];
}

/** 28000: pg_hba.conf has no line for a connection of this kind. */
function isCausedByEncryption(error: unknown): boolean {
  return (
    error instanceof HandshakeError || (error instanceof ServerError && error.code === '28000')
  );
}

async function open(
  host: HostAddress,
  encryption: Encryption,
  startup: Startup,
  signal: AbortSignal,
): Promise<Session> {
  const plain = dial(host, startup.options, signal);
  let socket: Socket = plain;
  try {
    socket = await encrypted(plain, encryption, { host, options: startup.options });
    return { pid: await startSession(socket, startup), socket };
  } catch (error) {
    socket.destroy();
    plain.destroy();
    throw error;
  }
}

function dial(host: HostAddress, { keepAlive }: ConnectionOptions, signal: AbortSignal): Socket {
  signal.throwIfAborted();
  const socket =
    'path' in host
      ? connect(host.path)
      : connect({
          host: host.address,
          port: host.port,
          noDelay: true,
          keepAlive: keepAlive.enabled,
          keepAliveInitialDelay: keepAlive.idleMs,
        });
  // For the socket's whole life: an error event without a listener ends the process.
  socket.on('error', () => {});
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  return socket;
}

async function encrypted(
  socket: Socket,
  encryption: Encryption,
  { host, options: { tls } }: { host: HostAddress; options: ConnectionOptions },
): Promise<Socket> {
  if (encryption === 'none' || 'path' in host) return socket;
  const files = await readTlsFiles(tls);
  if (!tls.isDirect && !(await offersTls(socket))) {
    if (encryption === 'if offered') return socket;
    throw new Error('the server does not speak TLS');
  }
  return secured(socket, host.name, { ...tls, files });
}
