/**
 * The one socket of a driver's client. The driver reconnects by itself, with statements of before in
 * its buffers and for as long as it takes, even after it was told to end; a client that gets no
 * second socket cannot. TLS begins here, because the driver would keep to itself what comes of it.
 */
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { unavailable } from '../kernel/errors.ts';
import { type Transport, transportOf } from './unix_socket.ts';
import { sslRequest } from './wire/messages.ts';

/** What the driver read from its URL; `path` is that of a Unix socket. */
type Address = { host: string[]; port: number[]; path: string | false };

export class OneSocket {
  readonly #tls: TlsMode | null;
  /** What the driver needs to be told besides the URL. */
  readonly options: Transport & { ssl: false; socket: (address: Address) => Promise<Socket> };
  #raw: Socket | undefined;
  #agreed: Socket | undefined;
  /** The last bytes that came. */
  #tail = Buffer.alloc(0);

  /** @param url of the database, whose `sslmode` tells whether there must be TLS. */
  constructor(url: string) {
    const transport = transportOf(url);
    this.#tls = 'path' in transport ? null : tlsModeOf(url);
    this.options = { ...transport, ssl: false, socket: (address) => this.#open(address) };
  }

  /**
   * Takes the socket from the driver, whose session has begun and must be idle.
   *
   * @throws {Refusal} `unavailable` when more, or less, has come than the driver can have read.
   */
  takeOver(): Socket {
    const socket = this.#agreed;
    if (!socket || !this.#tail.equals(readyAndIdle)) {
      throw unavailable('The database ended the session as it began');
    }
    socket.removeAllListeners('data');
    return socket;
  }

  /** Ends the connection also when the other side does not answer any more. */
  destroy(): void {
    this.#raw?.destroy();
  }

  /** @throws {Refusal} `unavailable` when asked a second time. */
  async #open({ host: [host], port: [port = 5432], path }: Address): Promise<Socket> {
    if (this.#raw) throw unavailable('The database closed the connection');
    const socket = path ? connect(path) : connect(port, host);
    this.#raw = socket;
    const agreed = this.#tls === null ? socket : await secured(socket, { host, ...this.#tls });
    agreed.on('data', (chunk: Buffer) => {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-readyAndIdle.length);
    });
    this.#agreed = agreed;
    return agreed;
  }
}

/** ReadyForQuery, outside of any transaction. */
const readyAndIdle = Buffer.from('Z\0\0\0\x05I', 'latin1');

type TlsMode = { mayBePlain: boolean; rejectUnauthorized: boolean };

/** As libpq has it, but that `verify-ca` asks for the right name, too. Null for a plain connection. */
function tlsModeOf(url: string): TlsMode | null {
  const { searchParams } = new URL(url);
  const mode = searchParams.get('sslmode') ?? searchParams.get('ssl') ?? 'disable';
  if (mode === 'disable' || mode === 'false') return null;
  return {
    mayBePlain: mode === 'allow' || mode === 'prefer',
    rejectUnauthorized: !['allow', 'prefer', 'require'].includes(mode),
  };
}

/** Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
async function secured(
  socket: Socket,
  { host = '', mayBePlain, rejectUnauthorized }: TlsMode & { host: string | undefined },
): Promise<Socket> {
  socket.write(sslRequest);
  const reply = await firstFrom(socket);
  if (reply === 'N' && mayBePlain) return socket;
  // Not one byte more: what came in the clear would pass for secured (CVE-2021-23222).
  if (reply !== 'S') throw unavailable('The database does not speak TLS');
  const secure = connectTls({
    socket,
    // An address has no `servername`, and node would ask the certificate for "localhost".
    host,
    rejectUnauthorized,
    ...(isIP(host) ? {} : { servername: host }),
  });
  await once(secure, 'secureConnect');
  return secure;
}

/** The first bytes that come; none when the other side hangs up. */
function firstFrom(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket
      .once('data', (bytes: Buffer) => resolve(String(bytes)))
      .once('close', () => resolve(''))
      .once('error', reject);
  });
}
