/** Fields of several routes. Texts may not hold control characters, nor text that Postgres cannot store. */
import * as v from 'valibot';

/** A text of 1 to `maxLength` characters, without control characters or halves of surrogate pairs. */
export function text(maxLength: number) {
  return v.pipe(
    v.string('Expected a string'),
    v.minLength(1, 'Expected at least 1 character'),
    v.check((value) => [...value].length <= maxLength, `Expected at most ${maxLength} characters`),
    v.check((value) => !/[\p{Cc}\p{Cs}]/u.test(value), 'Expected no control characters'),
    v.check((value) => value.trim() !== '', 'Expected more than white space'),
  );
}

/** A calendar date, `2026-02-28` (RFC 3339 full-date). */
export const date = v.pipe(
  v.string('Expected a date such as "2026-02-28"'),
  v.check(isCalendarDate, 'Expected a date such as "2026-02-28"'),
);

function isCalendarDate(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value) || value.startsWith('0000')) return false;
  const midnight = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(value);
}

const atom = "[\\w!#$%&'*+/=?^`{|}~-]+";
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

/** A dot-string, and a domain of two labels or more, of which the last is not a number (RFC 5321, 4.1.2). */
const mailbox = new RegExp(
  `^(?=[^@]{1,64}@)${atom}(?:\\.${atom})*@(?:${label}\\.)+(?!\\d+$)${label}$`,
  'i',
);

/** An email address within the sizes of RFC 5321, section 4.5.3.1, without quotes. */
export const email = v.pipe(text(254), v.regex(mailbox, 'Expected an email address'));

/** The `limit` of a list, from its query string. */
export const limit = v.pipe(
  v.string(),
  v.regex(/^\d{1,3}$/, 'Expected an integer from 1 to 100'),
  v.transform(Number),
  v.minValue(1, 'Expected an integer from 1 to 100'),
  v.maxValue(100, 'Expected an integer from 1 to 100'),
);

/** The page size of the operator's lists. A tenant's lists have a setting for it. */
export const defaultLimit = 20;
