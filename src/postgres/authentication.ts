/**
 * Authentication of a login: SCRAM-SHA-256 with or without channel binding, MD5, or the password itself on
 * a private connection. Any other method is refused by its name.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, Authentication…
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { certificateHash } from './certificate_hash.ts';
import type { AuthMethod, ConnectionOptions } from './connection_options.ts';
import { type ChannelBinding, ScramClient } from './scram_client.ts';

/** The second field of an Authentication message. */
const codes = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

const unsupported: Readonly<Record<number, string>> = {
  2: 'Kerberos',
  7: 'GSSAPI',
  8: 'GSSAPI',
  9: 'SSPI',
};

export class Authentication {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #maxIterations: number;
  #scram: ScramClient | null = null;
  /** The method that the server has chosen; `none` while it has asked for no password. */
  #method: AuthMethod = 'none';
  /** False during a SCRAM exchange, until the server has proved that it knows the password, too. */
  #isProved = true;
  #isBound = false;
  isDone = false;

  constructor(socket: Socket, options: ConnectionOptions, maxIterations: number) {
    this.#socket = socket;
    this.#options = options;
    this.#maxIterations = maxIterations;
  }

  /**
   * Answers one Authentication message.
   *
   * @throws {Error} when the method is not supported or not allowed, or the server does not know the
   *   password itself.
   */
  async answer(bytes: Buffer): Promise<void> {
    const code = bytes.length < 4 || this.isDone ? -1 : bytes.readInt32BE(0);
    const data = bytes.subarray(4);
    if (code === codes.ok) return this.#accept();
    if (code === codes.saslContinue && this.#scram) {
      return this.#send(Buffer.from(await this.#scram.final(data.toString('utf8'))));
    }
    if (code === codes.saslFinal && this.#scram) {
      this.#scram.verify(data.toString('utf8'));
      this.#isProved = true;
      return;
    }
    if (this.#method !== 'none') throw new Error('the server changed the authentication method');
    if (code === codes.sasl) return this.#beginScram(data.toString('latin1').split('\0'));
    if (code === codes.md5) return this.#sendText('md5', (password) => this.#md5(password, data));
    if (code === codes.cleartext) {
      if (!isPrivate(this.#socket))
        throw new Error('the server asks for the password over an unencrypted connection');
      return this.#sendText('password', (password) => password);
    }
    throw new Error(
      `the server asks for ${unsupported[code] ?? 'a login'} that Kennel does not support`,
    );
  }

  #accept(): void {
    if (!this.#options.allowsAuth(this.#method)) {
      throw new Error('the server accepts the login by a method that require_auth does not allow');
    }
    if (!this.#isProved) throw new Error('the server did not prove that it knows the password');
    if (this.#options.channelBinding === 'require' && !this.#isBound) throw lacksBinding();
    this.isDone = true;
  }

  #beginScram(mechanisms: string[]): void {
    this.#use('scram-sha-256');
    const binding = this.#binding(mechanisms.includes(bound));
    const isBound = binding.header.startsWith('p=');
    // Before anything is sent that a wrong server could use to guess the password.
    if (!isBound && this.#options.channelBinding === 'require') throw lacksBinding();
    const mechanism = isBound ? bound : unbound;
    if (!mechanisms.includes(mechanism)) {
      throw new Error(`the server does not support ${mechanism}, which the URL requires`);
    }
    const nonce = randomBytes(18).toString('base64');
    const password = this.#password();
    const maxIterations = this.#maxIterations;
    this.#scram = new ScramClient({ password, nonce, binding, maxIterations });
    this.#isProved = false;
    this.#isBound = isBound;
    const first = Buffer.from(this.#scram.first);
    this.#send(Buffer.concat([Buffer.from(`${mechanism}\0`), int32(first.length), first]));
  }

  /**
   * Returns the channel binding of the login. If the server offers none over TLS, the flag `y` says that we
   * support it. A server that did offer it then refuses the login, because someone has removed its offer.
   */
  #binding(isOffered: boolean): ChannelBinding {
    const none = { header: 'n,,', data: Buffer.alloc(0) } as const;
    if (!(this.#socket instanceof TLSSocket)) return none;
    if (this.#options.channelBinding === 'disable') return none;
    const certificate = this.#socket.getPeerX509Certificate();
    const data = certificate && certificateHash(certificate.raw);
    if (!data) return none;
    return isOffered ? { header: 'p=tls-server-end-point,,', data } : { ...none, header: 'y,,' };
  }

  #md5(password: string, salt: Buffer): string {
    const secret = md5(Buffer.from(`${password}${this.#options.user}`));
    return `md5${md5(Buffer.concat([Buffer.from(secret), salt]))}`;
  }

  #sendText(method: AuthMethod, textOf: (password: string) => string): void {
    this.#use(method);
    this.#send(Buffer.from(`${textOf(this.#password())}\0`));
  }

  /** Checks the method before anything is sent that a wrong server could use. */
  #use(method: AuthMethod): void {
    const { allowsAuth, channelBinding } = this.#options;
    if (!allowsAuth(method)) throw new Error(`require_auth does not allow ${method}`);
    if (channelBinding === 'require' && method !== 'scram-sha-256') {
      throw new Error(`there is no channel binding with ${method}, and the URL requires it`);
    }
    this.#method = method;
  }

  #password(): string {
    const { password } = this.#options;
    if (password === undefined)
      throw new Error('the server asks for a password, and the URL has none');
    return password;
  }

  /** Sends a PasswordMessage, SASLInitialResponse or SASLResponse, which have the same form. */
  #send(body: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from('p'), int32(body.length + 4), body]));
  }
}

const bound = 'SCRAM-SHA-256-PLUS';
const unbound = 'SCRAM-SHA-256';

/** Whether a connection uses TLS or a Unix socket, or stays on this machine. */
function isPrivate(socket: Socket): boolean {
  if (socket instanceof TLSSocket) return true;
  const { remoteAddress = '' } = socket;
  return remoteAddress === '' || /^(::ffff:)?127\.|^::1$/.test(remoteAddress);
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function lacksBinding(): Error {
  return new Error('the server does not support the channel binding that the URL requires');
}
