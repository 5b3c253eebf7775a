/**
 * Opens a session: one host after the other, TLS, the proof of who we are and the settings, all of it
 * before one deadline. Each socket has a listener for errors from its first moment to its last.
 */
import { connect, type Socket } from 'node:net';
import { Refusal, unavailable } from '../kernel/errors.ts';
import { applicationName } from './application_name.ts';
import type { ConnectionOptions, HostAddress } from './connection_options.ts';
import { ServerError } from './protocol/server_error.ts';
import { type SessionTimeouts, sessionSettings } from './session_settings.ts';
import { partsOf, type Target } from './session_url.ts';
import { type Startup, type StartupLimits, startSession } from './startup.ts';
import { HandshakeError, offersTls, readTlsFiles, secured } from './tls.ts';

export type SessionLimits = SessionTimeouts &
  StartupLimits & {
    /** From the first byte to the session, all hosts together. */
    connectTimeoutMs: number;
  };

export type Session = { pid: number; socket: Socket };

/** @throws {Refusal} `unavailable` with the cause, when no session could be had in time. */
export async function openSession(
  target: Target,
  limits: SessionLimits,
  name = applicationName(),
): Promise<Session> {
  const { options, settings: own } = partsOf(target);
  const settings = { application_name: name, ...sessionSettings(limits), ...own };
  const startup = { options, settings, limits };
  const deadline = performance.now() + limits.connectTimeoutMs;
  let failure: unknown;
  for (const [at, host] of options.hosts.entries()) {
    // A host that is silent leaves the next ones their share.
    const shareMs = (deadline - performance.now()) / (options.hosts.length - at);
    try {
      return await openInTime(host, startup, Math.min(shareMs, options.connectTimeoutMs));
    } catch (error) {
      failure = error;
      if (endsSearch(error)) break;
    }
  }
  if (failure instanceof Refusal) throw failure;
  throw unavailable('The database is not available', failure);
}

/** As libpq does: a server that refuses us is the right one, unless it is only starting up. */
function endsSearch(error: unknown): boolean {
  return error instanceof ServerError && error.code !== '57P03';
}

async function openInTime(host: HostAddress, startup: Startup, limitMs: number): Promise<Session> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const reason = unavailable('The database did not accept a connection in time');
      reject(reason);
      abort.abort(reason);
    }, limitMs);
  });
  try {
    return await Promise.race([openEitherWay(host, startup, abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

type Encryption = 'none' | 'if offered' | 'always';

/** By `allow` and `prefer` there are two ways, and the second is tried where the first may not be gone. */
async function openEitherWay(
  host: HostAddress,
  startup: Startup,
  signal: AbortSignal,
): Promise<Session> {
  const [first, second] = waysTo(host, startup.options);
  try {
    return await open(host, first, startup, signal);
  } catch (error) {
    if (second === undefined || !isMatterOfTls(error)) throw error;
    return open(host, second, startup, signal);
  }
}

function waysTo(host: HostAddress, { tls }: ConnectionOptions): [Encryption, Encryption?] {
  // As libpq does: `sslmode` says nothing of connections that do not leave the machine.
  if ('path' in host || tls.mode === 'disable') return ['none'];
  if (tls.mode === 'allow') return ['none', 'always'];
  return tls.mode === 'prefer' ? ['if offered', 'none'] : ['always'];
}

/** 28000: pg_hba.conf has no line for a connection of this kind. */
function isMatterOfTls(error: unknown): boolean {
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
