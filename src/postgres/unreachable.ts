/** Says in a few words why no session could be opened. */
import { inOneLine } from '../kernel/printable_text.ts';
import { causeOf, codeOf } from './errors.ts';

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is Postgres running?',
  ENOENT: 'there is no such socket; is Postgres running?',
  EACCES: 'this user may not use the socket',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'there is no such host',
  '28P01': 'the password is wrong',
  '28000': 'this login is not allowed',
  '3D000': 'there is no such database',
  '53300': 'the server has no free connection',
  // Each session starts with settings, one of which is new in Postgres 14.
  '42704': 'the server lacks a setting; Kennel needs Postgres 15 or newer',
};

/** Returns one line. */
export function whyUnreachable(error: unknown): string {
  const cause = causeOf(error);
  const reason = reasons[codeOf(cause)] ?? (cause.message || 'no answer');
  return inOneLine(reason);
}
