/** Sends emails by SMTP. Every wait for the server has a limit: nodemailer's own limits are minutes. */
import { createTransport, type Transporter } from 'nodemailer';
import { type Email, type Mail, PermanentMailError } from './mail.ts';
import { message } from './message.ts';
import { smtpServer } from './smtp_url.ts';

export type SmtpOptions = {
  /** `smtp://` or `smtps://`, with user and password; see `smtp_url.ts`. */
  url: string;
  /** The sender's bare address. */
  from: string;
  /** Timeout for the connection. */
  connectionMs: number;
  /** Timeout for the server's greeting after that. */
  greetingMs: number;
  /** Timeout for any later reply of the server. */
  silenceMs: number;
};

/** Sends each email on a connection of its own. */
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

/** The steps of nodemailer that concern one email: sender and recipient, and content. */
const aboutTheEmail = new Set(['EENVELOPE', 'EMESSAGE']);

/**
 * Replies that concern the session, at any step: wrong order of commands (RFC 5321, 4.2.3), and
 * authentication required (RFC 4954, 6).
 */
const aboutTheSession = new Set([503, 530]);

/**
 * Whether the reply is 5yz to the email itself (RFC 5321, 4.2.1). The same code after the greeting, TLS or
 * login concerns the server or our settings. The operator can fix these, so the email is tried again.
 */
function isPermanent(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error) || !('code' in error)) return false;
  const reply = Number(error.responseCode);
  return reply >= 500 && aboutTheEmail.has(String(error.code)) && !aboutTheSession.has(reply);
}
