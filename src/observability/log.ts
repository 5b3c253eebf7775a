/**
 * The log: JSON lines on stdout. Lines are collected for `gatherMs` and written together, so a process that
 * is killed loses the lines of that time. When the reader of stdout hangs, lines are dropped and counted:
 * a log must not fill the memory.
 */
import type { FinishedRequest } from '../http/exchange.ts';
import type { RequestRecord } from '../kernel/ports.ts';
import { type LogFields, type LogLevel, logLine } from './log_line.ts';

export type { LogFields, LogLevel };

export interface Log {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** Resolves when every line is written, or after `flushMs`. */
  flush(): Promise<void>;
}

/** The destination of lines, such as `process.stdout`. */
export type LineSink = {
  readonly writableLength: number;
  write(text: string, onWritten?: () => void): unknown;
};

export type LogOptions = {
  level: LogLevel;
  sink: LineSink;
  nowMs: () => number;
  /** How long a line waits for others. */
  gatherMs: number;
  /** Characters that are written without waiting. */
  gatherChars: number;
  /** Lines are dropped while this many bytes wait for the reader. */
  backlogBytes: number;
  /** Longer string values are cut to this length. */
  valueChars: number;
  flushMs: number;
};

/** Returns a log that writes to a stream. */
export function createLog(options: LogOptions): Log {
  return new StreamLog(options);
}

/** The facts of a finished request that its line shows. */
export type LoggedRequest = Pick<
  FinishedRequest,
  'method' | 'status' | 'durationMs' | 'address'
> & {
  record: Pick<RequestRecord, 'requestId' | 'endpoint' | 'tenant' | 'caller'>;
};

/** Returns the fields of a request's line. Without the path, which may hold a mistyped secret. */
export function requestLine(request: LoggedRequest): LogFields {
  const { method, record, status, durationMs, address } = request;
  return {
    method,
    route: record.endpoint,
    status,
    tenant: record.tenant?.slug ?? null,
    user_id: record.caller?.user.id ?? null,
    duration_ms: Math.round(durationMs * 1_000) / 1_000,
    request_id: record.requestId,
    client: address,
  };
}

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

class StreamLog implements Log {
  readonly #options: LogOptions;
  readonly #lineOptions: { valueChars: number; stacks: boolean };
  #latest = { atMs: Number.NaN, time: '' };
  #gathered = '';
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#lineOptions = { valueChars: options.valueChars, stacks: options.level === 'debug' };
  }

  debug(msg: string, fields?: LogFields): void {
    this.#log('debug', msg, fields);
  }

  info(msg: string, fields?: LogFields): void {
    this.#log('info', msg, fields);
  }

  warn(msg: string, fields?: LogFields): void {
    this.#log('warn', msg, fields);
  }

  error(msg: string, fields?: LogFields): void {
    this.#log('error', msg, fields);
  }

  flush(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.flushMs);
      this.#writeGathered(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #log(level: LogLevel, msg: string, fields: LogFields = {}): void {
    const { sink, backlogBytes, gatherMs, gatherChars, nowMs } = this.#options;
    if (rank[level] < rank[this.#options.level]) return;
    if (this.#gathered.length + sink.writableLength >= backlogBytes) {
      this.#dropped += 1;
      return;
    }
    const allFields = this.#dropped > 0 ? { ...fields, dropped_lines: this.#dropped } : fields;
    const head = { time: this.#time(nowMs()), level, msg };
    this.#dropped = 0;
    this.#gathered += logLine(head, allFields, this.#lineOptions);
    if (this.#gathered.length >= gatherChars) this.#writeGathered();
    else this.#timer ??= setTimeout(() => this.#writeGathered(), gatherMs);
  }

  /** Cached for each millisecond: to format a time takes a quarter of the time of a line. */
  #time(atMs: number): string {
    if (atMs !== this.#latest.atMs) this.#latest = { atMs, time: new Date(atMs).toISOString() };
    return this.#latest.time;
  }

  #writeGathered(onWritten?: () => void): void {
    const text = this.#gathered;
    this.#gathered = '';
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (text !== '' || onWritten) this.#options.sink.write(text, onWritten);
  }
}
