/**
 * Rules for the statements of a migration, and whether servers that do not know the file stay compatible.
 * A migration and its ledger row are one transaction, so no statement may begin or end one.
 */
import type { Statement } from './sql_text.ts';

/** The reason why a statement must not be in a migration; null when it may. */
export function refusalOf({ words }: Statement): string | null {
  const [first = '', second = ''] = words;
  const opens = ['begin', 'start', 'commit', 'end', 'abort'].includes(first);
  const ends = first === 'rollback' && !goesToSavepoint(words);
  if (opens || ends || (first === 'prepare' && second === 'transaction')) {
    const statement = second === 'transaction' ? `${first} ${second}` : first;
    return `"${statement}" would end the transaction that a migration shares with its ledger row`;
  }
  const copies = first === 'copy' && words.some((word) => word === 'stdin' || word === 'stdout');
  return copies ? '"copy" to or from the client needs psql' : null;
}

/** True for `rollback to` a savepoint, which does not end the transaction. */
function goesToSavepoint([, ...rest]: readonly string[]): boolean {
  const [next] = rest.filter((word) => word !== 'work' && word !== 'transaction');
  return next === 'to';
}

/**
 * True when servers that do not know the statements surely stay compatible. False for a statement that
 * constrains rows that those servers write, or that changes or removes an existing object. A table that
 * the statements create may be changed, because those servers do not use it.
 */
export function areAdditive(statements: readonly Statement[]): boolean {
  const made = new Set<string>();
  return statements.every(({ words }) => {
    // With `if not exists` it may be an old one.
    const makes = words[0] === 'create' && words[1] === 'table' && words[2] !== 'if';
    if (makes) made.add(nameIn(words.slice(2)));
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

/** The name of the table at the beginning, with its schema. */
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

/** @param target the name of the table, then the changes. */
function altersAdditively(target: readonly string[]): boolean {
  const start = startOfName(target);
  const changes = target.slice(start + (target[start + 1] === '.' ? 3 : 1));
  return partsOf(changes).every((part) => {
    const text = part.join(' ');
    return alterations.some((pattern) => pattern.test(text)) || addsColumn(part);
  });
}

/** Words of a constraint. The serial types are among them, because no serving role may use their sequence. */
const constraining = new Set(
  'constraint check unique primary references foreign exclude nextval serial bigserial smallserial'.split(
    ' ',
  ),
);

/** True for a new column that accepts every value, and has one for rows that do not name it. */
function addsColumn([first, ...rest]: readonly string[]): boolean {
  if (first !== 'add') return false;
  const column = rest[0] === 'column' ? rest.slice(1) : rest;
  if (column.some((word) => constraining.has(word))) return false;
  const text = column.join(' ').replace(/^if not exists /, '');
  return !/(^| )not null\b/.test(text) || / (default|generated) /.test(text);
}

/** The changes of one statement, which are separated by commas. */
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
