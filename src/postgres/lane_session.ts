/** The connection of a lane: one client of the driver, connected, warmed and reserved for life. */
import postgres from 'postgres';
import { unavailable } from '../kernel/errors.ts';
import { applicationName } from './application_name.ts';
import { asRefusal } from './faults.ts';
import { OneSocket } from './one_socket.ts';
import { transportOf } from './unix_socket.ts';

/** Where a lane leads: a URL with its database, login and password. */
export type Target = string;

/** Limits of one lane, in milliseconds. The server's own are set when the session starts. */
export type LaneBounds = {
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
  /** The longest that a call may take, answered or not. */
  callTimeoutMs: number;
};

export type Session = {
  pid: number;
  sql: postgres.ReservedSql;
  /** Calls `listener` at the very moment that the connection is gone. */
  onClose(listener: () => void): void;
  /** Lets nothing more out, not even what the driver has in its buffers. */
  cut(): void;
  /** Never rejects. */
  end(): Promise<void>;
};

/**
 * Warms before it reserves: `reserve()` on a client that has not connected yet may never return.
 *
 * @throws {Refusal} `unavailable` when no session could be had in time.
 */
export async function openSession(target: Target, bounds: LaneBounds): Promise<Session> {
  const socket = new OneSocket();
  let closed = false;
  let onClose = () => {};
  // `socket` is missing in the driver's types, hence the variable.
  const options = {
    ...driverSettings(bounds),
    ...transportOf(target),
    socket: socket.open.bind(socket),
    onclose: () => {
      closed = true;
      onClose();
    },
  };
  const client = postgres(target, options);
  const end = async () => {
    await client.end({ timeout: 0 }).catch(() => {});
    socket.destroy();
  };
  try {
    const { pid, sql } = await inTime(warm(client), bounds.connectTimeoutMs);
    const listen = (listener: () => void) => {
      onClose = listener;
      if (closed) listener();
    };
    return { pid, sql, onClose: listen, cut: () => socket.destroy(), end };
  } catch (error) {
    void end();
    throw asRefusal(error);
  }
}

async function warm(client: postgres.Sql): Promise<{ pid: number; sql: postgres.ReservedSql }> {
  const [row] = await client<{ pid: number }[]>`select pg_backend_pid() as pid`;
  if (!row) throw new Error('Cannot open a lane: the server named no backend');
  return { pid: row.pid, sql: await client.reserve() };
}

/** The driver's own limit does not count the first query. */
async function inTime<Result>(opening: Promise<Result>, limitMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(unavailable('The database did not accept a connection in time'));
    }, limitMs);
  });
  return await Promise.race([opening, late]).finally(() => clearTimeout(timer));
}

function driverSettings(bounds: LaneBounds) {
  return {
    max: 1,
    max_lifetime: null,
    connect_timeout: bounds.connectTimeoutMs / 1_000,
    fetch_types: false,
    onnotice: () => {},
    types: plainTypes,
    connection: {
      application_name: applicationName(),
      statement_timeout: bounds.statementTimeoutMs,
      lock_timeout: bounds.lockTimeoutMs,
      idle_in_transaction_session_timeout: bounds.idleInTransactionTimeoutMs,
      TimeZone: 'UTC',
    },
  };
}

/**
 * Dates stay text, instants become ISO 8601, and counts become numbers. None of these functions may
 * throw: the driver would reject whatever statement is running, and lose count of the answers.
 */
const plainTypes = {
  date: { to: 1082, from: [1082], serialize: String, parse: (text: string) => text },
  instant: { to: 1184, from: [1114, 1184], serialize: String, parse: instant },
  bigint: { to: 20, from: [20], serialize: String, parse: Number },
  bytes: {
    to: 17,
    from: [17],
    serialize: (value: unknown) =>
      value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : String(value),
    parse: (text: string) => Buffer.from(text.slice(2), 'hex'),
  },
};

/** What Postgres writes in the time zone UTC: ISO 8601 but for two characters, and microseconds. */
const utc = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/;

/** To the millisecond. `infinity` and years before Christ have no ISO form. */
function instant(text: string): string {
  const [, date, time, fraction = ''] = utc.exec(text) ?? [];
  return date ? `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` : text;
}
