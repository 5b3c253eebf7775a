/** The outbox of one process, which sends emails by SMTP or writes them as files. */
import { join } from 'node:path';
import type { Config } from './config.ts';
import { limits } from './limits.ts';
import { FileMail } from './mail/file_mail.ts';
import { Outbox } from './mail/outbox.ts';
import { postgresOutbox } from './mail/postgres_outbox.ts';
import { SmtpMail } from './mail/smtp_mail.ts';
import type { Log } from './observability/log.ts';
import type { Services } from './services.ts';

export function openOutbox(
  { smtpUrl, dataFolder, baseDomain }: Config,
  { control }: Pick<Services, 'control'>,
  log: Log,
): Outbox {
  const from = `kennel@${baseDomain}`;
  const mail =
    smtpUrl === null
      ? new FileMail(join(dataFolder, 'mail'), from)
      : new SmtpMail({ url: smtpUrl, from, ...limits.smtp });
  return new Outbox({
    ...limits.outbox,
    store: postgresOutbox(control, limits.outbox),
    mail,
    onError: (error) => log.warn('outbox could not be read, will retry', { error }),
    onGivenUp: (email) => log.error('email given up, its recipient will not get it', email),
  });
}
