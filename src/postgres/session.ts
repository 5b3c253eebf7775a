/**
 * The beginning of a session: the driver connects and proves who we are, and once the server is ready
 * its socket is taken over, with nothing on its way in either direction.
 */
import type { Socket } from 'node:net';
import postgres from 'postgres';
import { unavailable } from '../kernel/errors.ts';
import { applicationName } from './application_name.ts';
import { asRefusal } from './faults.ts';
import { OneSocket } from './one_socket.ts';

/** Where a session leads: a URL with its database, login and password, and settings that it begins with. */
export type Target = string;

/** Limits of a session, in milliseconds; but for the first, the server holds them. */
export type SessionBounds = {
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
};

export type Session = { pid: number; socket: Socket };

/** @throws {Refusal} `unavailable` when no session could be had in time. */
export async function openSession(target: Target, bounds: SessionBounds): Promise<Session> {
  const socket = new OneSocket(target);
  const client = postgres(target, { ...settings(bounds), ...socket.options });
  try {
    const [row] = await inTime(client<{ pid: number }[]>`select pg_backend_pid() as pid`, bounds);
    if (!row) throw new Error('Cannot open a session: the server named no backend');
    return { pid: row.pid, socket: socket.takeOver() };
  } catch (error) {
    void client.end({ timeout: 0 }).catch(() => {});
    socket.destroy();
    throw asRefusal(error);
  }
}

/** The driver's own limit does not count the first query. */
async function inTime<Result>(
  opening: PromiseLike<Result>,
  { connectTimeoutMs }: SessionBounds,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(unavailable('The database did not accept a connection in time'));
    }, connectTimeoutMs);
  });
  return await Promise.race([opening, late]).finally(() => clearTimeout(timer));
}

/**
 * A statement in an envelope does not begin its transaction itself: these are what it gets, whatever
 * the database or the login has for a default. As switches, because the driver leaves out what is false.
 */
const transactions = {
  default_transaction_isolation: 'read committed',
  options: '-c default_transaction_read_only=off -c default_transaction_deferrable=off',
} as const;

function settings(bounds: SessionBounds) {
  return {
    max: 1,
    max_lifetime: null,
    connect_timeout: bounds.connectTimeoutMs / 1_000,
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: applicationName(),
      statement_timeout: bounds.statementTimeoutMs,
      lock_timeout: bounds.lockTimeoutMs,
      idle_in_transaction_session_timeout: bounds.idleInTransactionTimeoutMs,
      TimeZone: 'UTC',
      ...transactions,
    },
  };
}
