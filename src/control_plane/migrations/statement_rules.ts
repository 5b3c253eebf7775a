/**
 * What a statement of a migration may be, and what it does to servers that do not know the file. A
 * migration and its ledger row are one transaction of ours, so no statement may end or open one.
 */
import type { Statement } from './sql_text.ts';

/** Why a statement cannot be in a migration; null when it can. */
export function refusalOf({ words }: Statement): string | null {
  const [first = '', second = ''] = words;
  const opens = ['begin', 'start', 'commit', 'end', 'abort'].includes(first);
  const ends = first === 'rollback' && !goesToSavepoint(words);
  if (opens || ends || (first === 'prepare' && second === 'transaction')) {
    const statement = second === 'transaction' ? `${first} ${second}` : first;
    return `"${statement}" would end the transaction that a migration shares with its ledger row`;
  }
  const copies = first === 'copy' && words.some((word) => word === 'stdin' || word === 'stdout');
  return copies ? '"copy" to or from the client is for psql alone' : null;
}

/** Of what a file does itself, part by part. */
function goesToSavepoint([, ...rest]: readonly string[]): boolean {
  const [next] = rest.filter((word) => word !== 'work' && word !== 'transaction');
  return next === 'to';
}

/**
 * Whether servers that do not know the statements can go on as before. Says no where it cannot be sure: of
 * what constrains rows that they write, and of what changes or takes away anything that was there. A
 * table that the statements make themselves is none that those servers use.
 */
export function areAdditive(statements: readonly Statement[]): boolean {
  const made = new Set<string>();
  return statements.every(({ words }) => {
    if (words[0] === 'create' && words[1] === 'table') made.add(nameIn(words.slice(2)));
    return isAdditive(words, made);
  });
}

function isAdditive(words: readonly string[], made: ReadonlySet<string>): boolean {
  const text = words.join(' ');
  if (
    /^(comment on|grant|create (table|index|type|sequence|view|function|procedure)) /.test(text)
  ) {
    return true;
  }
  if (text.startsWith('alter table ')) {
    const target = words.slice(2).filter((word) => word !== 'only');
    return made.has(nameIn(target)) || altersAdditively(target);
  }
  if (!/^create (unique index|policy|trigger) /.test(text)) return false;
  return made.has(nameIn(words.slice(words.indexOf('on') + 1).filter((word) => word !== 'only')));
}

/** A table's name at the beginning, with its schema. */
function nameIn(words: readonly string[]): string {
  const name = words.slice(startOfName(words));
  return name.slice(0, name[1] === '.' ? 3 : 1).join('');
}

function startOfName(words: readonly string[]): number {
  return words[0] === 'if' ? words.indexOf('exists') + 1 : 0;
}

const alterations = [
  /^(enable|force) row level security$/,
  /^validate constraint /,
  /^alter (column )?\S+ set (statistics|storage) /,
];

/** @param target the table, and what is done to it. */
function altersAdditively(target: readonly string[]): boolean {
  const start = startOfName(target);
  const changes = target.slice(start + (target[start + 1] === '.' ? 3 : 1));
  return partsOf(changes).every((part) => {
    const text = part.join(' ');
    return alterations.some((pattern) => pattern.test(text)) || addsColumn(part);
  });
}

/** A number of its own for each row needs a right to the sequence. */
const constraining = new Set(
  'constraint check unique primary references foreign exclude nextval serial bigserial smallserial'.split(
    ' ',
  ),
);

/** A column that has a value for rows which do not name it, and takes every value. */
function addsColumn([first, ...rest]: readonly string[]): boolean {
  if (first !== 'add') return false;
  const column = rest[0] === 'column' ? rest.slice(1) : rest;
  if (column.some((word) => constraining.has(word))) return false;
  const text = column.join(' ').replace(/^if not exists /, '');
  return !/ not null\b/.test(text) || / (default|generated) /.test(text);
}

/** The alterations of one statement, which commas divide. */
function partsOf(words: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  let depth = 0;
  for (const word of words) {
    if (word === '(') depth += 1;
    if (word === ')') depth -= 1;
    if (word === ',' && depth === 0) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts;
}
