/**
 * A mail server for tests: a real socket on 127.0.0.1 that speaks as much SMTP as a client needs
 * and keeps the mail that it receives.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export type Received = { from: string; to: string[]; lines: string[] };

export class SmtpSink {
  readonly received: Received[] = [];
  /** Recipients that are refused. */
  readonly refused = new Set<string>();
  /** Recipients that are refused for a while. */
  readonly deferred = new Set<string>();
  /** The answer of the sink to a sender, if it is not `250`. */
  senderReply = '250 fine';
  /** When set, connections are accepted and get no answer. */
  mute = false;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  static async start(): Promise<SmtpSink> {
    const sink = new SmtpSink();
    sink.#server.listen(0, '127.0.0.1');
    await once(sink.#server, 'listening');
    return sink;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The sink is closed');
    return `smtp://127.0.0.1:${address.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (!this.mute) void this.#converse(socket);
  }

  async #converse(socket: Socket): Promise<void> {
    const say = (line: string) => socket.write(`${line}\r\n`);
    let email: Received = { from: '', to: [], lines: [] };
    let inData = false;
    say('220 sink');
    for await (const line of createInterface({
      input: socket,
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      if (inData && line !== '.') {
        email.lines.push(line);
      } else if (inData) {
        this.received.push(email);
        email = { from: '', to: [], lines: [] };
        inData = false;
        say('250 taken');
      } else if (line === 'DATA') {
        inData = true;
        say('354 go on');
      } else {
        say(this.#answer(line, email));
      }
    }
  }

  #answer(line: string, email: Received): string {
    const [, command = '', address = ''] = /^(\w+)(?:.*<(.*)>)?/.exec(line) ?? [];
    if (command === 'QUIT') return '221 bye';
    if (command === 'MAIL') email.from = address;
    if (command === 'MAIL') return this.senderReply;
    if (command === 'RCPT' && this.refused.has(address)) return '550 nobody of that name';
    if (command === 'RCPT' && this.deferred.has(address)) return '450 try again later';
    if (command === 'RCPT') email.to.push(address);
    return '250 fine';
  }
}
