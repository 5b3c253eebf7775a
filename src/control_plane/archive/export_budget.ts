/**
 * How many exports may run at the same time, in all processes together. They use the login of migrations, and
 * must leave enough of its connections to onboarding and migrations.
 */
import { unavailable } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';

/** Counts the session of one export. */
export class ExportBudget {
  readonly #fleet: Fleet;
  readonly #connection: Connection;
  readonly #key: string;

  /** @param server where the export runs: each has its own budget, and does not wait for another that hangs. */
  constructor(fleet: Fleet, connection: Connection, server: string) {
    this.#fleet = fleet;
    this.#connection = connection;
    // pg_locks shows the locks of all databases, so the name contains the installation's mark.
    this.#key = `kennel export of ${fleet.installation.mark()} on ${server}`;
  }

  /**
   * Runs an export within the budget; it counts from before its first wait until its end.
   *
   * @param isBudgeted whether it is refused when too many run already.
   * @throws {Refusal} `unavailable` when the exports use more than a third of their login's connections.
   */
  async runWithin<Result>(isBudgeted: boolean, work: () => Promise<Result>): Promise<Result> {
    await this.#enter(isBudgeted);
    try {
      return await work();
    } finally {
      if (this.#connection.live) await this.#leave();
    }
  }

  /**
   * Exports enter one at a time: of two at the edge of the budget one is refused, and not both. That lock is in
   * the main database, because advisory locks belong to a database.
   */
  #enter(isBudgeted: boolean): Promise<void> {
    if (!isBudgeted) return this.#count();
    return asOwner(this.#fleet, async (main) => {
      await main`select pg_advisory_xact_lock(hashtextextended(${`entry to ${this.#key}`}, 0))`;
      await this.#count();
      if (!(await this.#isExceeded())) return;
      await this.#leave();
      throw unavailable('Too many tenants are exported; try again later');
    });
  }

  async #count(): Promise<void> {
    await this.#owning(
      (sql) => sql`select pg_advisory_lock_shared(hashtextextended(${this.#key}, 0))`,
    );
  }

  async #isExceeded(): Promise<boolean> {
    const { migrate } = this.#fleet.installation.roles;
    const [budget] = await this.#owning(
      (sql) => sql<{ exceeded: boolean }>`
      select count(*) > greatest(1, (
        select rolconnlimit / 3 from pg_roles where rolname = ${migrate}
      )) as exceeded
      from pg_locks
      where locktype = 'advisory' and objsubid = 1
        and (classid::bigint << 32 | objid::bigint) = hashtextextended(${this.#key}, 0)`,
    );
    return budget?.exceeded !== false;
  }

  async #leave(): Promise<void> {
    await this.#owning(
      (sql) => sql`select pg_advisory_unlock_shared(hashtextextended(${this.#key}, 0))`,
    );
  }

  /** The owner alone may use and see locks. An export's lock is the session's, and outlives the transaction. */
  #owning<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    const { owner } = this.#fleet.installation.roles;
    return this.#connection.transaction(`begin; set local role "${owner}"`, work);
  }
}
