/**
 * The message that nodemailer composes. Names and addresses come from tenants, so they are restricted to
 * one line and one recipient here, without trust in the library.
 */
import type { SendMailOptions } from 'nodemailer';
import { type Email, PermanentMailError } from './mail.ts';

const idPattern = /^[\w-]{1,64}$/;

// Stricter than RFC 5321: no character may end the address, add another one or end the line.
const addressPattern = /^[^\s\p{Cc}@<>()[\]\\,;:"]{1,64}@[^\s\p{Cc}@<>()[\]\\,;:"]{1,255}$/u;

const lineBreaks = /[\p{Cc}\u2028\u2029]+/gu;

/**
 * Returns the message of an email. Its Message-ID is made from the email's id, so that receivers recognise
 * an email that is sent again.
 *
 * @param from The sender's bare address.
 * @throws {PermanentMailError} when the id is not a file name, or an address is not one plain address.
 */
export function message({ id, to, subject, text }: Email, from: string): SendMailOptions {
  if (!idPattern.test(id)) {
    throw new PermanentMailError(`Cannot send email ${quoted(id)}: it is not a plain id`);
  }
  for (const address of [to, from]) {
    if (addressPattern.test(address)) continue;
    throw new PermanentMailError(
      `Cannot send email "${id}": ${quoted(address)} is not a plain address`,
    );
  }
  return {
    messageId: `<${id}@${from.slice(from.indexOf('@') + 1)}>`,
    from: { name: 'Kennel', address: from },
    to: { name: '', address: to },
    subject: subject.replace(lineBreaks, ' '),
    text,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
