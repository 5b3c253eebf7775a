/**
 * One connection that listens on a channel and comes back by itself. It listens when the server has said
 * so, and the server is asked now and then whether it is there still: a connection that was cut
 * in between looks like one on which nothing happens.
 *
 * Source: https://www.postgresql.org/docs/current/sql-listen.html and sql-notify.html
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openSession, type SessionLimits } from './connect.ts';
import { type Message, MessageReader } from './protocol/message_reader.ts';
import { query, terminate } from './protocol/messages.ts';
import { errorIn } from './protocol/server_error.ts';
import type { Target } from './session_url.ts';

export type NotificationListenerLimits = SessionLimits & {
  /** The most bytes of one message. */
  messageBytes: number;
  retryAfterMs: number;
  probeMs: number;
};

export type NotificationListenerOptions = NotificationListenerLimits & {
  onMessage: (message: string) => void;
  /** Called whenever listening begins anew: messages may have been missed before. */
  onGap: () => void;
};

export class NotificationListener {
  readonly #target: Target;
  readonly #channel: string;
  readonly #options: NotificationListenerOptions;
  readonly #stop = new AbortController();
  #connected = false;

  constructor(target: Target, channel: string, options: NotificationListenerOptions) {
    this.#target = target;
    this.#channel = channel;
    this.#options = options;
    void this.#keepListening();
  }

  /** True from the server's answer to LISTEN until the connection is lost. */
  get connected(): boolean {
    return this.#connected;
  }

  close(): void {
    this.#stop.abort();
  }

  async #keepListening(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#listenUntilLost().catch(() => {});
      this.#connected = false;
      await delay(this.#options.retryAfterMs, null, { signal }).catch(() => {});
    }
  }

  async #listenUntilLost(): Promise<void> {
    const { socket } = await openSession(this.#target, this.#options);
    const hangUp = () => {
      if (socket.writableLength > 0) socket.destroy();
      else socket.end(terminate, () => socket.destroy());
    };
    this.#stop.signal.addEventListener('abort', hangUp, { once: true });
    try {
      if (this.#stop.signal.aborted) return;
      await this.#hear(socket);
    } finally {
      this.#stop.signal.removeEventListener('abort', hangUp);
      socket.destroy();
    }
  }

  /** Settles when the connection is lost, or the server does not answer in time. */
  #hear(socket: Socket): Promise<void> {
    const { messageBytes, probeMs, onMessage } = this.#options;
    const listen = query(`listen "${this.#channel.replaceAll('"', '""')}"`);
    let unanswered = 0;
    const ask = () => {
      // Listening again changes nothing, and is answered.
      if (unanswered > 0) socket.destroy();
      else socket.write(listen);
      unanswered += 1;
    };
    const reader = new MessageReader(messageBytes, (message) => {
      if (message.type === types.error) throw errorIn(message);
      if (message.type === types.notification) onMessage(payloadIn(message));
      if (message.type !== types.ready) return;
      unanswered -= 1;
      this.#onAnswer();
    });
    return new Promise((resolve) => {
      const probe = setInterval(ask, probeMs);
      const end = () => {
        clearInterval(probe);
        resolve();
      };
      socket.once('close', end);
      if (socket.closed) end();
      socket.on('data', (chunk: Buffer) => {
        try {
          reader.read(chunk);
        } catch {
          socket.destroy();
        }
      });
      ask();
    });
  }

  #onAnswer(): void {
    if (this.#connected || this.#stop.signal.aborted) return;
    this.#connected = true;
    this.#options.onGap();
  }
}

const types = {
  error: 'E'.charCodeAt(0),
  notification: 'A'.charCodeAt(0),
  ready: 'Z'.charCodeAt(0),
} as const;

/** NotificationResponse: a pid, the channel, and what was said on it. */
function payloadIn({ bytes, from, to }: Message): string {
  const [, payload = ''] = bytes.toString('utf8', from + 4, to).split('\0');
  return payload;
}
