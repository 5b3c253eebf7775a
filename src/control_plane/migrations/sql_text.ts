/**
 * SQL files as psql reads them: split into statements, and variables filled in outside of quoted text
 * and comments alone. Comments are left out; the server parses all else.
 *
 * Sources: https://www.postgresql.org/docs/current/sql-syntax-lexical.html, the section *SQL Interpolation*
 * of app-psql.html, and `src/fe_utils/psqlscan.l` of Postgres
 */
type Kind = 'blank' | 'comment' | 'word' | 'quoted' | 'variable' | 'symbol';
type Token = { kind: Kind; text: string; at: number };

export type Statement = {
  /** Where it begins in its file, from 1. */
  line: number;
  /** Its tokens: words in lower case, quoted text as it is, everything else one character each. */
  words: readonly string[];
  /** @throws {SqlTextError} when a quoted variable has no value. */
  withVariables(values: Readonly<Record<string, string>>): string;
};

export type SqlText = { statements: Statement[]; comments: { text: string; line: number }[] };

/** What is wrong with a text, and in which line. */
export class SqlTextError extends Error {
  override readonly name = 'SqlTextError';
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/**
 * The statements of a text, none of which is empty.
 *
 * @throws {SqlTextError} for a quote or a comment without an end, and for what only psql can do.
 */
export function readSql(text: string): SqlText {
  const lineOf = (at: number) => text.slice(0, at).split(/\r\n?|\n/).length;
  const statements: Statement[] = [];
  const comments: SqlText['comments'] = [];
  let splitter = new Splitter();
  const finish = () => {
    const { tokens, words } = splitter;
    const [first] = tokens;
    if (first) {
      const withVariables: Statement['withVariables'] = (values) => filled(tokens, values, lineOf);
      statements.push({ line: lineOf(first.at), words, withVariables });
    }
    splitter = new Splitter();
  };
  for (const token of tokensOf(text, lineOf)) {
    if (token.kind === 'comment') comments.push({ text: token.text, line: lineOf(token.at) });
    if (splitter.isEnd(token)) finish();
    else splitter.add(token);
  }
  finish();
  return { statements, comments };
}

/** One statement: semicolons within parentheses or the body of a function do not end it. */
class Splitter {
  readonly tokens: Token[] = [];
  readonly words: string[] = [];
  #parentheses = 0;
  /** Of `begin atomic`, and of `case` within it. */
  #blocks = 0;

  isEnd({ text }: Token): boolean {
    return text === ';' && this.#parentheses === 0 && this.#blocks === 0;
  }

  add(token: Token): void {
    const { kind, text } = token;
    const isGap = kind === 'blank' || kind === 'comment';
    if (isGap && this.tokens.length === 0) return;
    this.tokens.push(token);
    if (isGap) return;
    const word = kind === 'word' ? text.toLowerCase() : text;
    this.words.push(word);
    if (word === '(') this.#parentheses += 1;
    if (word === ')') this.#parentheses = Math.max(0, this.#parentheses - 1);
    if (kind === 'word' && this.#parentheses === 0) this.#countBlock(word);
  }

  #countBlock(word: string): void {
    if (!/^create (or replace )?(function|procedure) /.test(this.words.slice(0, 5).join(' ')))
      return;
    if (word === 'begin' || (word === 'case' && this.#blocks > 0)) this.#blocks += 1;
    if (word === 'end' && this.#blocks > 0) this.#blocks -= 1;
  }
}

const letter = 'A-Za-z_\\u0080-\\uffff';

/** In the order in which they are tried. A word may hold `$`, so `a$b$c` quotes nothing. */
const patterns: readonly [Kind, RegExp][] = [
  ['blank', /[ \t\n\r\f\v]+/y],
  ['comment', /--[^\n\r]*/y],
  ['word', new RegExp(`[${letter}][${letter}0-9$]*`, 'y')],
  ['symbol', /\d[\w.]*|\$\d+|::|:=/y],
  ['variable', new RegExp(`:[${letter}0-9]+|:'[${letter}0-9]+'|:"[${letter}0-9]+"`, 'y')],
];

const quoteStart = /(e|[bxn]|u&)?'|(?:u&)?"/iy;
const dollarStart = new RegExp(`\\$(?:[${letter}][${letter}0-9]*)?\\$`, 'y');

/** A string goes on behind a line end, in the way that it began. */
const continuation = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

function* tokensOf(text: string, lineOf: (at: number) => number): Generator<Token> {
  for (let at = 0; at < text.length; ) {
    const token = tokenAt(text, at);
    if (typeof token === 'string') throw new SqlTextError(lineOf(at), token);
    yield token;
    at += token.text.length;
  }
}

/** @returns what is wrong, where there is no token. */
function tokenAt(text: string, at: number): Token | string {
  const quoted = quotedAt(text, at);
  if (quoted !== null) return quoted;
  for (const [kind, pattern] of patterns) {
    const found = matchAt(pattern, text, at);
    if (found !== null) return { kind, text: found, at };
  }
  const character = text[at] ?? '';
  if (character === '\\') return `"${/^\S{1,40}/.exec(text.slice(at))?.[0]}" is for psql alone`;
  if (character === '\0') return 'it holds a zero byte';
  return { kind: 'symbol', text: character, at };
}

/** A quoted text or a comment, whole. */
function quotedAt(text: string, at: number): Token | string | null {
  if (text.startsWith('/*', at)) {
    const end = endOfComment(text, at);
    return end < 0 ? 'a comment has no end' : { kind: 'comment', text: text.slice(at, end), at };
  }
  const dollars = matchAt(dollarStart, text, at);
  const start = dollars ?? matchAt(quoteStart, text, at);
  if (start === null) return null;
  const end = dollars === null ? endOfQuote(text, at, start) : endOfDollars(text, at, dollars);
  if (end < 0) return `what begins with ${start} has no end`;
  return { kind: 'quoted', text: text.slice(at, end), at };
}

/** Comments nest. */
function endOfComment(text: string, at: number): number {
  const limits = /\/\*|\*\//g;
  limits.lastIndex = at;
  let depth = 0;
  for (let found = limits.exec(text); found; found = limits.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return limits.lastIndex;
  }
  return -1;
}

function endOfDollars(text: string, at: number, tag: string): number {
  const end = text.indexOf(tag, at + tag.length);
  return end < 0 ? -1 : end + tag.length;
}

/** A doubled quote is one character; a backslash hides the next one in `e''` alone. */
function endOfQuote(text: string, at: number, start: string): number {
  const quote = start.at(-1) ?? "'";
  const hides = /^e/i.test(start);
  for (let next = at + start.length; next < text.length; next += 1) {
    const character = text[next];
    if (character === '\\' && hides) next += 1;
    if (character !== quote) continue;
    if (text[next + 1] === quote) {
      next += 1;
      continue;
    }
    const more = quote === "'" ? matchAt(continuation, text, next + 1) : null;
    if (more === null) return next + 1;
    next += more.length;
  }
  return -1;
}

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

function filled(
  tokens: readonly Token[],
  values: Readonly<Record<string, string>>,
  lineOf: (at: number) => number,
): string {
  let brackets = 0;
  const texts = tokens.map(({ kind, text, at }) => {
    if (text === '[') brackets += 1;
    if (text === ']') brackets -= 1;
    if (kind === 'comment') return ' ';
    if (kind !== 'variable') return text;
    const name = text.replaceAll(/[:'"]/g, '');
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value !== undefined) return quotedAs(text, value);
    // What has no value stays: an array may be sliced by it.
    if (brackets > 0 || text === `:${name}`) return text;
    throw new SqlTextError(lineOf(at), `${text} has no value: no role has that name`);
  });
  return texts.join('').trim();
}

function quotedAs(variable: string, value: string): string {
  if (variable.startsWith(':"')) return `"${value.replaceAll('"', '""')}"`;
  return variable.startsWith(":'") ? `'${value.replaceAll("'", "''")}'` : value;
}
