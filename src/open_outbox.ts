/** The outbox of one process, which sends emails by SMTP or writes them as files. */
import { join } from 'node:path';
import type { Config } from './config.ts';
import { limits } from './limits.ts';
import type { Mail } from './mail/mail.ts';
import { Outbox } from './mail/outbox.ts';
import { postgresOutbox } from './mail/postgres_outbox.ts';
import type { Log } from './observability/log.ts';
import type { Services } from './services.ts';

/** Returns the outbox, whose mail is opened with the first email: SMTP, or files without an `SMTP_URL`. */
export function openOutbox(
  config: Config,
  { control }: Pick<Services, 'control'>,
  log: Log,
): Outbox {
  return new Outbox({
    ...limits.outbox,
    store: postgresOutbox(control, limits.outbox),
    mail: withFirstEmail(() => openMail(config)),
    onError: (error) => log.warn('outbox could not be read, will retry', { error }),
    onGivenUp: (email) => log.error('email given up, its recipient will not get it', email),
  });
}

async function openMail({ smtpUrl, dataFolder, baseDomain }: Config): Promise<Mail> {
  const from = `kennel@${baseDomain}`;
  if (smtpUrl === null) {
    const { FileMail } = await import('./mail/file_mail.ts');
    return new FileMail(join(dataFolder, 'mail'), from);
  }
  const { SmtpMail } = await import('./mail/smtp_mail.ts');
  return new SmtpMail({ url: smtpUrl, from, ...limits.smtp });
}

/** Opens with the first email: nodemailer takes a tenth of a second to load, and a start may send none. */
function withFirstEmail(open: () => Promise<Mail>): Mail {
  let opened: Promise<Mail> | undefined;
  return {
    send: async (email, signal) => {
      opened ??= open().catch((error: unknown) => {
        // The next email tries again.
        opened = undefined;
        throw error;
      });
      await (await opened).send(email, signal);
    },
    close: () => {
      opened?.then((mail) => mail.close()).catch(() => {});
    },
  };
}
