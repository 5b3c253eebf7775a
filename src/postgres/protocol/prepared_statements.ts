/**
 * The statements that one session has prepared, up to a bound: the one that was used least recently
 * is forgotten, here and by the server. Each is prepared for one schema: with another `search_path`
 * than last time the server would have to plan it anew.
 */
import { LRUCache } from 'lru-cache';
import type { SqlValue } from '../../kernel/ports.ts';
import { bind, close, describe, parse } from './messages.ts';
import type { Column } from './rows.ts';

/** A statement as the server knows it; `columns` are there once it has told of them, if it has any. */
export type Statement = { readonly key: string; columns: Column[] | null; isPrepared: boolean };

type Named = Statement & { readonly name: string };

/** A statement, its parameters, and the schema in which its tables are. */
export type Call = { schema: string; text: TemplateStringsArray; values: readonly SqlValue[] };

export class PreparedStatements {
  readonly #kept: LRUCache<string, Named>;
  /** What the server shall forget, too. */
  #closing: Buffer[] = [];
  #named = 0;

  /** @param most how many the server keeps: each takes some kilobytes of its backend. */
  constructor(most: number) {
    // A name that the server does not know may be closed, too.
    const dispose = ({ name }: Named) => this.#closing.push(close(name));
    this.#kept = new LRUCache({ max: most, dispose });
  }

  /**
   * The messages that make a statement ready to run.
   *
   * @throws {TypeError} for a value that cannot be a parameter.
   */
  ready({ schema, text, values }: Call): { statement: Statement; messages: Buffer } {
    const { id, sql } = textOf(text);
    const key = `${id} ${schema}`;
    const known = this.#kept.get(key);
    if (known?.isPrepared) return { statement: known, messages: bind(known.name, values) };
    // Until the server has said that it could prepare the first one, others go without a name. So does
    // what is no constant of the code: its text may be one tenant's, and others could read it.
    const isKept = !known && Object.isFrozen(text);
    const name = isKept ? `s${this.#named}` : '';
    const messages = Buffer.concat([parse(name, sql), describe(name), bind(name, values)]);
    const statement = { key, name, columns: null, isPrepared: false };
    if (isKept) {
      this.#named += 1;
      this.#kept.set(key, statement);
    }
    return { statement, messages };
  }

  /** After the server could not prepare it, or was not asked to because of an error before. */
  forget(statement: Statement): void {
    if (this.#kept.peek(statement.key) === statement) this.#kept.delete(statement.key);
  }

  /** Messages that close what was forgotten, each once. */
  takeClosing(): Buffer[] {
    const closing = this.#closing;
    if (closing.length > 0) this.#closing = [];
    return closing;
  }
}

/** Statements are constants of the code: each is put together once. */
const texts = new WeakMap<TemplateStringsArray, { id: number; sql: string }>();
let lastId = 0;

function textOf(text: TemplateStringsArray): { id: number; sql: string } {
  const known = texts.get(text);
  if (known) return known;
  lastId += 1;
  const made = { id: lastId, sql: numbered(text) };
  texts.set(text, made);
  return made;
}

/** With `$1`, `$2` … in place of the values. */
function numbered([first = '', ...others]: TemplateStringsArray): string {
  return others.reduce((sql, part, at) => `${sql}$${at + 1}${part}`, first);
}
