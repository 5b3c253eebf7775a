/** Email by SMTP. Every wait for the server has a limit, since nodemailer's own are minutes. */
import { createTransport, type Transporter } from 'nodemailer';
import { type Email, type Mail, PermanentMailError } from './mail.ts';
import { message } from './message.ts';
import { smtpServer } from './smtp_url.ts';

export type SmtpOptions = {
  /** `smtp://` or `smtps://`, with user and password; see `smtp_url.ts`. */
  url: string;
  /** The sender's bare address. */
  from: string;
  /** Until the connection stands. */
  connectionMs: number;
  /** From there to the server's greeting. */
  greetingMs: number;
  /** Silence of the server at any later step. */
  silenceMs: number;
};

/** Sends each email on a connection of its own, which ends with it. */
export class SmtpMail implements Mail {
  readonly #from: string;
  readonly #transport: Transporter;

  constructor({ url, from, connectionMs, greetingMs, silenceMs }: SmtpOptions) {
    this.#from = from;
    this.#transport = createTransport({
      ...smtpServer(url),
      connectionTimeout: connectionMs,
      greetingTimeout: greetingMs,
      socketTimeout: silenceMs,
    });
  }

  async send(email: Email, signal: AbortSignal): Promise<void> {
    try {
      await this.#transport.sendMail({ ...message(email, this.#from), signal });
    } catch (error) {
      throw isPermanent(error) ? new PermanentMailError(error.message, { cause: error }) : error;
    }
  }

  close(): void {
    this.#transport.close();
  }
}

/** The steps of nodemailer that speak of one email: its sender and recipient, and its content. */
const aboutTheEmail = new Set(['EENVELOPE', 'EMESSAGE']);

/**
 * Replies that speak of the conversation, at whatever step: a wrong order of commands (RFC 5321,
 * 4.2.3), and a login that is asked for (RFC 4954, 6).
 */
const aboutTheSession = new Set([503, 530]);

/**
 * A reply of 5yz to the email itself (RFC 5321, 4.2.1). The same reply to the greeting, to TLS or to
 * the login speaks of the server or of our settings: an operator can put that right, so it is repeated.
 */
function isPermanent(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error) || !('code' in error)) return false;
  const reply = Number(error.responseCode);
  return reply >= 500 && aboutTheEmail.has(String(error.code)) && !aboutTheSession.has(reply);
}
