/**
 * The superuser of a lab, to whom row security does not apply: it creates the fixture, takes layers
 * off, and reads the rows.
 */

import postgres from 'postgres';
import type { Installation } from '../../src/postgres/installation.ts';
import type { DatabasePlace, Placement } from '../../src/postgres/placement.ts';

export class Superuser {
  readonly #clients = new Map<string, postgres.Sql>();
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  /** Runs statements with the placement's schema as search_path. */
  async run(placement: Placement, text: string): Promise<void> {
    await this.#clientOf(placement).unsafe(`set search_path = "${placement.schema}"; ${text}`);
  }

  /** The answer of a query in its column `row`. */
  async ask(placement: Placement, query: string): Promise<string[]> {
    const client = this.#clientOf(placement);
    const results = await client.unsafe(`set search_path = "${placement.schema}"; ${query}`);
    // Several statements have several results; the last one is the answer.
    const last: unknown = results.at(-1);
    return Array.isArray(last) ? last.map(({ row }) => String(row)) : [];
  }

  /**
   * Reads a table in a transaction that lasts as long as `work`, which may ask who waits for that table.
   */
  async whileReading<Result>(
    placement: Placement,
    table: string,
    work: (waiters: () => Promise<number>) => Promise<Result>,
  ): Promise<Result> {
    const client = this.#clientOf(placement);
    const name = `"${placement.schema}".${table}`;
    await client.unsafe(`begin; lock table ${name} in access share mode`);
    const waiters = async () => {
      const waiting = await client`
        select
        from pg_locks join pg_database on pg_database.oid = database
        where not granted and relation = ${name}::regclass and datname = current_database()`;
      return waiting.length;
    };
    return work(waiters).finally(() => client.unsafe('rollback'));
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await client.end({ timeout: 1 });
  }

  #clientOf(place: DatabasePlace): postgres.Sql {
    const url = this.#installation.adminUrlOf(place);
    const known = this.#clients.get(url);
    if (known) return known;
    const made = postgres(url, { max: 1, connect_timeout: 30, onnotice: () => {} });
    this.#clients.set(url, made);
    return made;
  }
}
