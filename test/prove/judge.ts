/**
 * Decides whether an attempt was a breach, from evidence alone: a mark of the victim came out, a
 * mark of the attacker got in, a row of the victim changed, or two answers differ that must not. A
 * missing error is no evidence.
 */
import { isRecord, type Seen } from './attack.ts';

export type Evidence = {
  /** The answers to the attacker, and those to the victim. */
  answers: readonly Seen[];
  shownToVictim: readonly Seen[];
  /** Answers that must be indistinguishable. */
  pairs: readonly (readonly [Seen, Seen])[];
  /** The victim's rows, as the superuser sees them. */
  before: readonly string[];
  after: readonly string[];
};

/** The breach, in words; null when there was none. */
export function breachIn(evidence: Evidence, marks: { mark: string; bait: string }): string | null {
  const { answers, shownToVictim, pairs, before, after } = evidence;
  if (answers.some((answer) => shows(answer, marks.mark))) return 'a secret of the victim came out';
  if (shownToVictim.some((answer) => shows(answer, marks.bait))) {
    return 'the victim was shown what the attacker had put there';
  }
  const gone = before.find((row) => !after.includes(row));
  if (gone !== undefined) return `a row of ${tableOf(gone)} was changed`;
  const come = after.find((row) => !before.includes(row));
  if (come !== undefined) return `a row of ${tableOf(come)} has appeared`;
  const told = pairs.find(([one, other]) => comparable(one) !== comparable(other));
  return told ? `told apart: ${told.map(wordsFor).join(' and ')}` : null;
}

/** The answer in a few words. */
export function wordsFor({ status, text }: Seen): string {
  const body = parsed(text);
  if (!isRecord(body)) return status === 0 ? text : `${status}`;
  const { code, detail } = body;
  const sql = /^([0-9A-Z]{5}): (.*)$/.exec(String(detail ?? ''));
  if (sql) return `SQLSTATE ${sql[1]}, ${sql[2]}`;
  if (typeof code === 'string') return `${status} ${code}`;
  const list = Object.values(body).find(Array.isArray);
  return list ? `${status}, ${list.length} rows` : `${status}`;
}

function shows({ headers, text }: Seen, mark: string): boolean {
  return `${headers}${text}`.includes(mark);
}

/**
 * All of an answer except the parts that differ from request to request: ids, the budget, the time.
 */
function comparable({ status, text }: Seen): string {
  const ids = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
  const times = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
  return `${status} ${text.replace(ids, '<id>').replace(times, '<time>')}`;
}

function tableOf(row: string): string {
  return row.split(' ')[0] ?? '';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
