/** Inserts the rows of an archive into the tables of a placement, in a transaction of the owner. */
import type { Sql } from '../../kernel/ports.ts';
import { identifier, repeatedStatement, statementOf } from '../generated_sql.ts';
import { type StoredTable, type TableGroup, tablesOf } from '../provisioning/stored_tables.ts';
import { columnsFor, insertOf } from './archived_tables.ts';
import { type ArchivedTable, type ArchiveHeader, unreadable } from './format.ts';
import type { ArchivedRows } from './read_archive.ts';

export class RowInserter {
  readonly #sql: Sql;
  readonly #groups: readonly TableGroup[];
  readonly #tables: readonly ArchivedTable[];
  readonly #cyclicBytes: number;
  readonly #statements = new Map<string, TemplateStringsArray>();
  /** The position of each table's group, in the order of the archive. */
  readonly #order: readonly number[];
  /** The lines of tables whose rows refer to each other, up to a group. */
  #gathered: { last: number; lines: Map<string, string[]>; bytes: number } | null = null;
  /** The insertion that is running. Meanwhile the next rows are read. */
  #running: Promise<unknown> = Promise.resolve();

  /** @throws {Error} when the archive has not exactly the tables and columns of the placement. */
  constructor(
    sql: Sql,
    { tables }: Pick<ArchiveHeader, 'tables'>,
    { groups, cyclicBytes }: { groups: readonly TableGroup[]; cyclicBytes: number },
  ) {
    this.#sql = sql;
    this.#groups = groups;
    this.#tables = tables;
    this.#cyclicBytes = cyclicBytes;
    assertSameTables(tables, tablesOf(groups));
    this.#order = tables.map((table) =>
      groups.findIndex((group) => group.tables.some(({ name }) => name === table.name)),
    );
  }

  /** In older archives a table may stand behind a cycle that refers to it: then it is gathered with the cycle. */
  async add({ table: { name }, lines }: Pick<ArchivedRows, 'table' | 'lines'>): Promise<void> {
    const comes = this.#order.slice(this.#tables.findIndex((one) => one.name === name));
    const [own = 0] = comes;
    const first = Math.min(...comes);
    if (this.#gathered && first > this.#gathered.last) await this.#insertGathered();
    const isCyclic = this.#groups[own]?.isCyclic || first < own;
    if (this.#gathered || isCyclic) this.#gather(own, name, lines);
    else await this.#insert(this.#statementOf([name]), [lines]);
  }

  /** Resolves when the insertion that is running has ended. */
  async written(): Promise<void> {
    await this.#running;
  }

  /** Resolves when all rows are inserted. */
  async finish(): Promise<void> {
    await this.#insertGathered();
    await this.#running;
  }

  #gather(group: number, name: string, lines: readonly string[]): void {
    this.#gathered ??= { last: group, lines: new Map(), bytes: 0 };
    const gathered = this.#gathered;
    gathered.last = Math.max(gathered.last, group);
    gathered.lines.set(name, [...(gathered.lines.get(name) ?? []), ...lines]);
    for (const line of lines) gathered.bytes += line.length;
    if (gathered.bytes <= this.#cyclicBytes) return;
    throw new Error(
      `Cannot import: the rows of "${name}" refer to each other, and have more than ${this.#cyclicBytes} bytes`,
    );
  }

  async #insertGathered(): Promise<void> {
    if (!this.#gathered) return;
    const { lines } = this.#gathered;
    this.#gathered = null;
    await this.#insert(this.#statementOf([...lines.keys()]), [...lines.values()]);
  }

  async #insert(statement: TemplateStringsArray, all: readonly string[][]): Promise<void> {
    await this.#running;
    this.#running = this.#sql(statement, ...all.map((lines) => `[${lines.join(',')}]`));
    // The next call, or `finish`, gets the error.
    this.#running.catch(() => {});
  }

  /** One statement for one table, or for all tables of a group: keys are checked at its end. */
  #statementOf(names: readonly string[]): TemplateStringsArray {
    const key = names.join();
    const known = this.#statements.get(key);
    if (known) return known;
    const inserts = names.map((name) => this.#insertInto(name));
    const made = inserts.length === 1 ? repeatedStatement(...inserts.flat()) : together(inserts);
    this.#statements.set(key, made);
    return made;
  }

  #insertInto(name: string): [string, string] {
    const table = this.#tables.find((one) => one.name === name);
    const stored = tablesOf(this.#groups).find((one) => one.name === name);
    if (!table || !stored) throw unreadable(`there is no table "${name}"`);
    return insertOf(identifier(name), columnsFor(table, stored));
  }
}

function together(inserts: readonly [string, string][]): TemplateStringsArray {
  const begun = inserts.map(([before], at) => `inserted_${at} as (${before}`);
  const ended = inserts.map(([, after]) => `${after})`);
  const [first, ...others] = begun;
  const between = others.map((next, at) => `${ended[at]}, ${next}`);
  return statementOf(`with ${first}`, ...between, `${ended.at(-1)} select`);
}

function assertSameTables(tables: readonly ArchivedTable[], stored: readonly StoredTable[]): void {
  const described = (name: string, columns: readonly string[]) =>
    `${name} (${[...columns].sort().join(', ')})`;
  const found = tables.map(({ name, columns }) => described(name, columns)).sort();
  const expected = stored
    .map(({ name, columns }) =>
      described(
        name,
        columns.map((column) => column.name),
      ),
    )
    .sort();
  const foreign = found.find((one) => !expected.includes(one));
  if (foreign !== undefined) throw unreadable(`its schema version has no table ${foreign}`);
  const missing = expected.find((one) => !found.includes(one));
  if (missing !== undefined) throw unreadable(`it lacks the table ${missing}`);
}
