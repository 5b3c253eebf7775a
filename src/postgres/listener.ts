/**
 * One connection that listens on a channel and comes back by itself. The driver's own `listen`
 * tries again once and then stays silent for ever when the server is not back yet.
 *
 * Source: https://www.postgresql.org/docs/current/sql-notify.html
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { applicationName } from './application_name.ts';
import { OneSocket } from './one_socket.ts';
import type { Target } from './session.ts';

export type ListenerOptions = {
  onMessage: (message: string) => void;
  /** Called whenever listening begins anew: messages may have been missed before. */
  onGap: () => void;
  connectTimeoutMs: number;
  retryAfterMs: number;
};

export class Listener {
  readonly #target: Target;
  readonly #channel: string;
  readonly #options: ListenerOptions;
  readonly #stop = new AbortController();
  #connected = false;

  constructor(target: Target, channel: string, options: ListenerOptions) {
    this.#target = target;
    this.#channel = channel;
    this.#options = options;
    void this.#keepListening();
  }

  get connected(): boolean {
    return this.#connected;
  }

  close(): void {
    this.#stop.abort();
  }

  async #keepListening(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#listenUntilClosed().catch(() => {});
      this.#connected = false;
      await delay(this.#options.retryAfterMs, null, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #listenUntilClosed(): Promise<void> {
    const { promise: closed, resolve: close } = settled();
    const { connectTimeoutMs } = this.#options;
    const socket = new OneSocket(this.#target);
    // `onnotify` and `socket` are missing in the driver's types, hence the variable.
    const options = {
      ...socket.options,
      max: 1,
      max_lifetime: null,
      fetch_types: false,
      connect_timeout: connectTimeoutMs / 1_000,
      connection: { application_name: applicationName() },
      onnotice: () => {},
      onnotify: (_channel: string, message: string) => this.#options.onMessage(message),
      onclose: close,
    };
    const client = postgres(this.#target, options);
    this.#stop.signal.addEventListener('abort', close, { once: true });
    try {
      const listening = client.unsafe(`listen "${this.#channel}"`).execute();
      const late = delay(connectTimeoutMs, null, { ref: false });
      const heard = await Promise.race([listening, closed, late]);
      if (!heard) return;
      this.#connected = true;
      this.#options.onGap();
      await closed;
    } finally {
      this.#stop.signal.removeEventListener('abort', close);
      await client.end({ timeout: 0 }).catch(() => {});
      socket.destroy();
    }
  }
}

function settled(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
