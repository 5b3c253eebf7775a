/**
 * Email as files, for development: `<id>.eml` opens in any mail program. They hold names and
 * addresses, so only their owner reads them.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Email, Mail } from './mail.ts';
import { message } from './message.ts';

/** Writes every email whole or not at all; a repeated sending replaces the file. */
export class FileMail implements Mail {
  readonly #folder: string;
  readonly #from: string;
  readonly #composer = createTransport({ streamTransport: true, buffer: true });

  constructor(folder: string, from: string) {
    this.#folder = folder;
    this.#from = from;
  }

  async send(email: Email, signal: AbortSignal): Promise<void> {
    const composed = await this.#composer.sendMail({ ...message(email, this.#from), signal });
    const unfinished = join(this.#folder, `.${email.id}.${randomUUID()}`);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      await writeFile(unfinished, composed.message, { mode: 0o600, signal });
      await rename(unfinished, join(this.#folder, `${email.id}.eml`));
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  close(): void {
    this.#composer.close();
  }
}
