/**
 * The log: JSON lines on stdout. The lines of a moment go out in one write: what is killed without
 * warning loses those of its last `gatherMs`. When their reader is stuck they are dropped and counted,
 * since a log must not fill the memory.
 */
import type { RequestRecord } from '../kernel/ports.ts';
import { type LogFields, type LogLevel, logLine } from './log_line.ts';

export type { LogFields, LogLevel };

export interface Log {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** Resolves when every line is with the reader, or after `flushMs`. */
  flush(): Promise<void>;
}

/** Where lines go; `process.stdout` is one. */
export type LineSink = {
  readonly writableLength: number;
  write(text: string, onWritten?: () => void): unknown;
};

export type LogOptions = {
  level: LogLevel;
  sink: LineSink;
  nowMs: () => number;
  /** The longest that a line waits for others, and so many characters that none waits. */
  gatherMs: number;
  gatherChars: number;
  /** Lines are dropped while this much waits for the reader. */
  backlogBytes: number;
  /** The longest string value that is written whole. */
  valueChars: number;
  flushMs: number;
};

/** A log that writes to a stream. */
export function createLog(options: LogOptions): Log {
  return new StreamLog(options);
}

/** A request that has been answered. */
export type LoggedRequest = {
  method: string;
  record: Pick<RequestRecord, 'requestId' | 'endpoint' | 'tenant' | 'caller'>;
  status: number;
  durationMs: number;
  /** The client's IP address. */
  address: string;
};

/** The fields of a request's line. Not its path: that may hold what a client mistyped. */
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
    const told = this.#dropped > 0 ? { ...fields, dropped_lines: this.#dropped } : fields;
    const head = { time: this.#time(nowMs()), level, msg };
    this.#dropped = 0;
    this.#gathered += logLine(head, told, this.#lineOptions);
    if (this.#gathered.length >= gatherChars) this.#writeGathered();
    else this.#timer ??= setTimeout(() => this.#writeGathered(), gatherMs);
  }

  /** All lines of a millisecond have the same text: to make it costs a quarter of a line. */
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
