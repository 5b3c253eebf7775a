/** Letters by SMTP. Every wait for the server has a limit, since nodemailer's own are minutes. */
import { createTransport, type Transporter } from 'nodemailer';
import type { Letter, Mail } from './mail.ts';
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

/** Sends each letter on a connection of its own, which ends with it. */
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

  async send(letter: Letter, signal: AbortSignal): Promise<void> {
    await this.#transport.sendMail({ ...message(letter, this.#from), signal });
  }

  close(): void {
    this.#transport.close();
  }
}
