/**
 * The client's side of SCRAM-SHA-256. Client and server prove to each other that they know the password,
 * without sending it. With channel binding, a server in between cannot forward the exchange.
 *
 * Source: RFC 5802 and RFC 7677; RFC 5929 for tls-server-end-point.
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** `header` is the client's GS2 header; `data` is the hash of the server's certificate, if it is bound. */
export type ChannelBinding = { header: 'n,,' | 'y,,' | 'p=tls-server-end-point,,'; data: Buffer };

export type ScramOptions = {
  /** Postgres ignores it and uses the user of the StartupMessage. */
  user?: string;
  password: string;
  /** Random, without commas. */
  nonce: string;
  binding: ChannelBinding;
  /** A server could keep the client busy with a huge number. */
  maxIterations: number;
};

export class ScramClient {
  readonly #options: ScramOptions;
  readonly #firstBare: string;
  #expectedSignature: Buffer | null = null;

  constructor(options: ScramOptions) {
    this.#options = options;
    this.#firstBare = `n=${options.user ?? ''},r=${options.nonce}`;
  }

  /** Returns the client-first-message. */
  get first(): string {
    return `${this.#options.binding.header}${this.#firstBare}`;
  }

  /**
   * Returns the client-final-message.
   *
   * @throws {Error} when the server's message does not fit the client's first one.
   */
  async final(serverFirst: string): Promise<string> {
    const { password, binding, nonce: ours, maxIterations } = this.#options;
    const { nonce, salt, iterations } = challengeIn(serverFirst);
    if (!nonce.startsWith(ours) || nonce.length === ours.length) {
      throw new Error('Cannot log in: the server changed the nonce');
    }
    if (iterations < 1 || iterations > maxIterations) {
      throw new Error(`Cannot log in: the server asks for ${iterations} iterations`);
    }
    const salted = await derive(saslPrep(password), salt, iterations, 32, 'sha256');
    const channel = Buffer.concat([Buffer.from(binding.header), binding.data]);
    const withoutProof = `c=${channel.toString('base64')},r=${nonce}`;
    const exchange = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const signature = hmac(storedKey, exchange);
    const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0));
    this.#expectedSignature = hmac(hmac(salted, 'Server Key'), exchange);
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`;
  }

  /** @throws {Error} when the server does not know the password. */
  verify(serverFinal: string): void {
    const expected = this.#expectedSignature;
    const [, text = ''] = /^v=([A-Za-z0-9+/]+=*)(?:,|$)/.exec(serverFinal) ?? [];
    const given = Buffer.from(text, 'base64');
    if (expected?.length === given.length && timingSafeEqual(expected, given)) return;
    throw new Error('Cannot log in: the server does not know the password itself');
  }
}

function challengeIn(serverFirst: string) {
  // A mandatory extension (`m=`) would come first. None is known here, so it does not match.
  const form = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+=*),i=(\d{1,10})(?:,|$)/;
  const [whole, nonce = '', salt = '', iterations] = form.exec(serverFirst) ?? [];
  if (whole === undefined) throw new Error('Cannot log in: the server does not speak SCRAM');
  return { nonce, salt: Buffer.from(salt, 'base64'), iterations: Number(iterations) };
}

/**
 * Returns the password after SASLprep (RFC 4013), or unchanged if SASLprep forbids it, as libpq does.
 */
function saslPrep(password: string): string {
  const mapped = password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(
      /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g,
      '',
    )
    .normalize('NFKC');
  const isAllowed =
    mapped !== '' && !/[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\u2028\u2029\ufffc\ufffd]/u.test(mapped);
  return isAllowed ? mapped : password;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
