/**
 * Writes emails as files, for development: any mail program opens `<id>.eml`. The files hold names and
 * addresses, so only their owner may read them.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Email, Mail } from './mail.ts';
import { message } from './message.ts';

/** Each file is complete or absent. An email that is sent again replaces its file. */
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
