/**
 * Reads SQL files as psql does: splits them into statements, removes comments, and fills in variables
 * except in quoted text. The server parses the rest.
 *
 * Sources: https://www.postgresql.org/docs/current/sql-syntax-lexical.html, the section *SQL Interpolation*
 * of app-psql.html, and `src/fe_utils/psqlscan.l` of Postgres
 */
type Kind = 'blank' | 'comment' | 'word' | 'quoted' | 'variable' | 'symbol';
type Token = { kind: Kind; text: string; at: number };

export type Statement = {
  /** The line where it begins, from 1. */
  line: number;
  /** Its tokens: words in lower case, quoted text as it is, everything else one character each. */
  words: readonly string[];
  /** @throws {SqlTextError} when a quoted variable has no value. */
  withVariables(values: Readonly<Record<string, string>>): string;
};

export type SqlText = { statements: Statement[]; comments: { text: string; line: number }[] };

/** An error in a text, with its line. */
export class SqlTextError extends Error {
  override readonly name = 'SqlTextError';
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/**
 * The statements of a text, without empty ones, and its comments.
 *
 * @throws {SqlTextError} for a quote or a comment without an end, and for commands of psql.
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

/** Collects one statement: a semicolon in parentheses or in the body of a function does not end it. */
class Splitter {
  readonly tokens: Token[] = [];
  readonly words: string[] = [];
  #parentheses = 0;
  /** Open blocks: `begin atomic`, and `case` within it. */
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

/** In the order in which they are tried. A word may contain `$`, so `a$b$c` is no quote. */
const patterns: readonly [Kind, RegExp][] = [
  ['blank', /[ \t\n\r\f\v]+/y],
  ['comment', /--[^\n\r]*/y],
  ['word', new RegExp(`[${letter}][${letter}0-9$]*`, 'y')],
  ['symbol', /\d[\w.]*|\$\d+|::|:=/y],
  ['variable', new RegExp(`:[${letter}0-9]+|:'[${letter}0-9]+'|:"[${letter}0-9]+"`, 'y')],
];

const quoteStart = /(e|[bxn]|u&)?'|(?:u&)?"/iy;
const dollarStart = new RegExp(`\\$(?:[${letter}][${letter}0-9]*)?\\$`, 'y');

/** A string may continue after a line end; it stays of the same kind. A comment always reaches the end of its line. */
const continuation =
  /(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

function* tokensOf(text: string, lineOf: (at: number) => number): Generator<Token> {
  for (let at = 0; at < text.length; ) {
    const token = tokenAt(text, at);
    if (typeof token === 'string') throw new SqlTextError(lineOf(at), token);
    yield token;
    at += token.text.length;
  }
}

/** The token at a position; a text is the message of an error. */
function tokenAt(text: string, at: number): Token | string {
  const quoted = quotedAt(text, at);
  if (quoted !== null) return quoted;
  for (const [kind, pattern] of patterns) {
    const found = matchAt(pattern, text, at);
    if (found !== null) return { kind, text: found, at };
  }
  const character = text[at] ?? '';
  if (character === '\\') return `"${/^\S{1,40}/.exec(text.slice(at))?.[0]}" is a command of psql`;
  if (character === '\0') return 'it contains a zero byte';
  return { kind: 'symbol', text: character, at };
}

/** The quoted text or block comment at a position; null when there is none. */
function quotedAt(text: string, at: number): Token | string | null {
  if (text.startsWith('/*', at)) {
    const end = endOfComment(text, at);
    return end < 0 ? 'a comment has no end' : { kind: 'comment', text: text.slice(at, end), at };
  }
  const dollars = matchAt(dollarStart, text, at);
  const start = dollars ?? matchAt(quoteStart, text, at);
  if (start === null) return null;
  const end = dollars === null ? endOfQuote(text, at, start) : endOfDollars(text, at, dollars);
  if (end < 0) return `the text that begins with ${start} has no end`;
  return { kind: 'quoted', text: text.slice(at, end), at };
}

/** The end of a block comment, which may contain others; -1 when there is none. */
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

/** The end of a quoted text. A doubled quote is one character; a backslash escapes only in `e''`. */
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
    // Without a value the text stays, because it may be the slice of an array.
    if (brackets > 0 || text === `:${name}`) return text;
    throw new SqlTextError(lineOf(at), `${text} has no value: no role has that name`);
  });
  return texts.join('').trim();
}

function quotedAs(variable: string, value: string): string {
  if (variable.startsWith(':"')) return `"${value.replaceAll('"', '""')}"`;
  return variable.startsWith(":'") ? `'${value.replaceAll("'", "''")}'` : value;
}
