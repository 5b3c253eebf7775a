/**
 * One connection that listens on a channel and reconnects by itself. It counts as listening once the server
 * has confirmed LISTEN. It is probed at intervals, because a connection that was cut looks like one without
 * notifications.
 *
 * Source: https://www.postgresql.org/docs/current/sql-listen.html and sql-notify.html
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openSession, type SessionLimits } from './connect.ts';
import { type Message, MessageReader } from './protocol/message_reader.ts';
import { query, terminate } from './protocol/messages.ts';
import { errorIn } from './protocol/server_error.ts';
import type { SessionUrl } from './session_url.ts';

export type NotificationListenerLimits = SessionLimits & {
  /** The most bytes of one message. */
  messageBytes: number;
  /** The delay before the next attempt to connect. */
  retryAfterMs: number;
  /** The time between two probes, and the longest time for the reply to one. */
  probeMs: number;
};

export type NotificationListenerOptions = NotificationListenerLimits & {
  onMessage: (message: string) => void;
  /** Called whenever listening has begun: earlier messages may have been missed. */
  onGap: () => void;
};

export class NotificationListener {
  readonly #url: SessionUrl;
  readonly #channel: string;
  readonly #options: NotificationListenerOptions;
  readonly #stop = new AbortController();
  #connected = false;

  constructor(url: SessionUrl, channel: string, options: NotificationListenerOptions) {
    this.#url = url;
    this.#channel = channel;
    this.#options = options;
    void this.#keepListening();
  }

  /** True from the server's reply to LISTEN until the connection is lost. */
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
    const { socket } = await openSession(this.#url, this.#options);
    const disconnect = () => {
      if (socket.writableLength > 0) socket.destroy();
      else socket.end(terminate, () => socket.destroy());
    };
    this.#stop.signal.addEventListener('abort', disconnect, { once: true });
    try {
      if (this.#stop.signal.aborted) return;
      await this.#listen(socket);
    } finally {
      this.#stop.signal.removeEventListener('abort', disconnect);
      socket.destroy();
    }
  }

  /** Resolves when the connection is lost, or the server does not reply to a probe in time. */
  #listen(socket: Socket): Promise<void> {
    const { messageBytes, probeMs, onMessage } = this.#options;
    const listen = query(`listen "${this.#channel.replaceAll('"', '""')}"`);
    let unanswered = 0;
    const probe = () => {
      // A further LISTEN changes nothing, and the server replies to it.
      if (unanswered > 0) socket.destroy();
      else socket.write(listen);
      unanswered += 1;
    };
    const reader = new MessageReader(messageBytes, (message) => {
      if (message.type === types.error) throw errorIn(message);
      if (message.type === types.notification) onMessage(payloadIn(message));
      if (message.type !== types.ready) return;
      unanswered -= 1;
      this.#onReply();
    });
    return new Promise((resolve) => {
      const timer = setInterval(probe, probeMs);
      const end = () => {
        clearInterval(timer);
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
      probe();
    });
  }

  #onReply(): void {
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

/** Returns the payload of a NotificationResponse, after a pid and the name of the channel. */
function payloadIn({ bytes, from, to }: Message): string {
  const [, payload = ''] = bytes.toString('utf8', from + 4, to).split('\0');
  return payload;
}
