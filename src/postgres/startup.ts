/**
 * The start of a session: the StartupMessage, the authentication, and a query for the backend's pid.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import type { Socket } from 'node:net';
import { Authentication } from './authentication.ts';
import type { ConnectionOptions } from './connection_options.ts';
import type { Message } from './protocol/message_reader.ts';
import { query } from './protocol/messages.ts';
import { errorIn } from './protocol/server_error.ts';
import { settingsMark } from './session_settings.ts';
import { SocketReader } from './socket_reader.ts';

/** Bounds for a server that is not authenticated yet: bytes of a message, and iterations of SCRAM. */
export type StartupLimits = { startupBytes: number; scramIterations: number };

export type Startup = {
  options: ConnectionOptions;
  settings: Readonly<Record<string, string>>;
  limits: StartupLimits;
};

/**
 * Begins a session. Afterwards the server is ready and no reply is due.
 *
 * @returns the pid of its backend.
 * @throws {ServerError} the server's refusal.
 * @throws {Error} for a failed authentication, a protocol violation, or a standby that may not be used.
 */
export async function startSession(socket: Socket, startup: Startup): Promise<number> {
  const reader = new SocketReader(socket);
  try {
    return await begin(socket, () => reader.message(startup.limits.startupBytes), startup);
  } finally {
    reader.release();
  }
}

async function begin(
  socket: Socket,
  next: Messages,
  { options, settings, limits }: Startup,
): Promise<number> {
  const { user, database, mustWrite } = options;
  const authentication = new Authentication(socket, options, limits.scramIterations);
  socket.write(startupMessage({ user, database, ...settings }));
  const parameters = await authenticated(next, authentication);
  if (mustWrite && parameters.get('in_hot_standby') === 'on') {
    throw new Error('the server is a standby, which accepts no writes');
  }
  socket.write(query(identity));
  return pidIn(await firstRow(next));
}

type Messages = () => Promise<Message>;

/** Reads up to ReadyForQuery. @returns the settings that the server reports. */
async function authenticated(
  next: Messages,
  authentication: Authentication,
): Promise<Map<string, string>> {
  const parameters = new Map<string, string>();
  for (;;) {
    const message = await next();
    switch (letterOf(message)) {
      case 'R':
        await authentication.answer(message.bytes);
        break;
      case 'S':
        parameters.set(...pairIn(message.bytes));
        break;
      case 'K':
      case 'N':
        break;
      case 'Z':
        if (authentication.isDone) return parameters;
        throw unexpected(message);
      default:
        throw unexpected(message);
    }
  }
}

/** A query, because behind a pooler the pid of BackendKeyData is not the backend's. */
const identity = `select pg_catalog.pg_backend_pid(),
  pg_catalog.current_setting('${settingsMark.name}', true)`;

async function firstRow(next: Messages): Promise<(string | null)[]> {
  let row: (string | null)[] | undefined;
  for (;;) {
    const message = await next();
    switch (letterOf(message)) {
      case 'D':
        row = textsIn(message.bytes);
        break;
      case 'T':
      case 'C':
      case 'N':
      case 'S':
        break;
      case 'Z':
        if (row && message.bytes.toString('latin1') === 'I') return row;
        throw unexpected(message);
      default:
        throw unexpected(message);
    }
  }
}

function pidIn([pid, mark]: (string | null)[]): number {
  if (mark !== settingsMark.value) {
    throw new Error('the settings of the session did not arrive; a pooler in between drops them');
  }
  if (/^\d{1,10}$/.test(pid ?? '')) return Number(pid);
  throw new Error('the server did not return the pid of its backend');
}

function letterOf(message: Message): string {
  const letter = String.fromCharCode(message.type);
  if (letter === 'E') throw errorIn(message);
  return letter;
}

function unexpected({ type }: Message): Error {
  return new Error(`the server sent "${String.fromCharCode(type)}" at the start of the session`);
}

function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const texts = Object.entries(parameters).flat();
  if (texts.some((text) => text.includes('\0'))) throw new TypeError('Cannot send a zero byte');
  const body = Buffer.from(`${texts.map((text) => `${text}\0`).join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  // Version 3.0.
  head.writeInt32BE(3 << 16, 4);
  return Buffer.concat([head, body]);
}

function pairIn(bytes: Buffer): [string, string] {
  const [name = '', value = ''] = bytes.toString('utf8').split('\0');
  return [name, value];
}

function textsIn(bytes: Buffer): (string | null)[] {
  const texts: (string | null)[] = [];
  let at = 2;
  while (at < bytes.length) {
    const length = bytes.readInt32BE(at);
    at += 4;
    texts.push(length < 0 ? null : bytes.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return texts;
}
