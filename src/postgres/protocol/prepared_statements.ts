/**
 * The prepared statements of one session, up to a bound: the least recently used one is removed, here and
 * on the server. Each is prepared for one schema, because the server plans a statement again when
 * `search_path` has changed since the last time.
 */
import { LRUCache } from 'lru-cache';
import type { SqlValue } from '../../kernel/ports.ts';
import { bind, close, describe, parse } from './messages.ts';
import type { Column } from './rows.ts';

/** A statement that the server was asked to prepare. `columns` is null until they arrive, or if it has none. */
export type PreparedStatement = {
  readonly key: string;
  columns: Column[] | null;
  isPrepared: boolean;
};

type NamedStatement = PreparedStatement & { readonly name: string };

/** A statement, its parameters, and the schema of its tables. */
export type BoundStatement = {
  schema: string;
  text: TemplateStringsArray;
  values: readonly SqlValue[];
};

export class PreparedStatements {
  readonly #cache: LRUCache<string, NamedStatement>;
  /** Close messages that are not sent yet. */
  #toClose: Buffer[] = [];
  #namesUsed = 0;

  /** @param maxStatements each takes some kilobytes of the backend's memory. */
  constructor(maxStatements: number) {
    // To close a name that the server does not know is no error.
    const dispose = ({ name }: NamedStatement) => this.#toClose.push(close(name));
    this.#cache = new LRUCache({ max: maxStatements, dispose });
  }

  /**
   * Returns the messages that bind a statement, and prepare it first where that is needed.
   *
   * @throws {TypeError} for a value that cannot be a parameter.
   */
  prepare({ schema, text, values }: BoundStatement): {
    statement: PreparedStatement;
    messages: Buffer;
  } {
    const { id, sql } = textOf(text);
    const key = `${id} ${schema}`;
    const known = this.#cache.get(key);
    if (known?.isPrepared) return { statement: known, messages: bind(known.name, values) };
    // Further calls use no name until the server has confirmed the first one. Nor does a text that is not a
    // constant of the code: it may hold a tenant's data, which other tenants of the session could read.
    const isNamed = !known && Object.isFrozen(text);
    const name = isNamed ? `s${this.#namesUsed}` : '';
    const messages = Buffer.concat([parse(name, sql), describe(name), bind(name, values)]);
    const statement = { key, name, columns: null, isPrepared: false };
    if (isNamed) {
      this.#namesUsed += 1;
      this.#cache.set(key, statement);
    }
    return { statement, messages };
  }

  /** Removes a statement that the server did not prepare because of an error. */
  forget(statement: PreparedStatement): void {
    if (this.#cache.peek(statement.key) === statement) this.#cache.delete(statement.key);
  }

  /** Forgets all statements, because the server is about to remove them. */
  clear(): void {
    this.#cache.clear();
  }

  /** Returns the Close messages of removed statements, each once. */
  takeCloseMessages(): Buffer[] {
    const messages = this.#toClose;
    if (messages.length > 0) this.#toClose = [];
    return messages;
  }
}

/** The SQL of each template is joined once: templates are constants of the code. */
const texts = new WeakMap<TemplateStringsArray, { id: number; sql: string }>();
let lastId = 0;

function textOf(text: TemplateStringsArray): { id: number; sql: string } {
  const known = texts.get(text);
  if (known) return known;
  lastId += 1;
  const made = { id: lastId, sql: withPlaceholders(text) };
  texts.set(text, made);
  return made;
}

/** Puts `$1`, `$2` … in the place of the values. */
export function withPlaceholders([first = '', ...others]: TemplateStringsArray): string {
  return others.reduce((sql, part, at) => `${sql}$${at + 1}${part}`, first);
}
