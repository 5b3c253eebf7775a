/**
 * One connection by which a process shows that it uses the shared server. The last one to leave stops
 * the server, and locks decide who that is: two that leave at once, or one that comes as another
 * leaves, must not both be wrong.
 */
import { setTimeout } from 'node:timers/promises';
import postgres from 'postgres';
import { applicationName } from '../postgres/application_name.ts';
import { sessionSettings } from '../postgres/session_settings.ts';

/** How long to wait for a connection, and for an answer. */
export type PresenceLimits = { connectSeconds: number; statementMs: number };

// Any numbers; the locks live in a database of this cluster that nobody else locks in.
const serverInUse = 1;
const rightsInChange = 2;

/**
 * All that the driver would else take from variables such as PGSSL or PGTARGETSESSIONATTRS, which the
 * user's shell may hold for another server.
 */
const ownOptions = {
  max: 1,
  ssl: false,
  idle_timeout: 0,
  max_lifetime: null,
  keep_alive: 60,
  prepare: true,
  debug: false,
  fetch_types: false,
  target_session_attrs: 'primary',
  onnotice: () => {},
} as const;

/** What a process holds while it uses the server. */
export class Presence {
  readonly #sql: postgres.Sql;
  readonly #limits: PresenceLimits;

  /** @param url of the database `postgres`, where locks of all processes meet. */
  constructor(url: string, limits: PresenceLimits) {
    this.#limits = limits;
    this.#sql = postgres(url, {
      ...ownOptions,
      connect_timeout: limits.connectSeconds,
      connection: {
        // Not the process's own name: leaving looks for that.
        application_name: `presence of ${applicationName()}`,
        ...sessionSettings({
          statementTimeoutMs: limits.statementMs,
          lockTimeoutMs: limits.statementMs,
          idleInTransactionTimeoutMs: limits.statementMs,
        }),
      },
    });
  }

  /** Waits for one who is about to stop the server. What is in the way, or null. */
  async enter(): Promise<string | null> {
    try {
      await this.#sql`select pg_advisory_lock_shared(${serverInUse})`;
      return null;
    } catch (error) {
      await this.close();
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Enters again, after the server and with it the lock has gone. */
  async renew(): Promise<void> {
    await this.#sql`select pg_advisory_lock_shared(${serverInUse})`;
  }

  /** Creates the database unless it is there. */
  async ensureDatabase(name: string): Promise<void> {
    const [present] = await this.#sql`select from pg_database where datname = ${name}`;
    if (!present) await this.#sql`create database ${this.#sql(name)}`.catch(ignoreDuplicate);
  }

  /** Shuts the databases that come with every cluster to all but the superuser. */
  async closeSpareDatabases(): Promise<void> {
    await this.#sql.begin(async (sql) => {
      // Two that change the rights of one database at once both fail.
      await sql`select pg_advisory_xact_lock(${rightsInChange})`;
      const open = await sql<{ name: string }[]>`
        select datname as name from pg_database
        where datname in ('postgres', 'template1')
          and has_database_privilege('public', datname, 'connect')`;
      for (const { name } of open) {
        await sql`revoke connect on database ${sql(name)} from public`;
      }
    });
  }

  /** True when no other process is left; until `close` none can enter then. */
  async leave(): Promise<boolean> {
    const tooLong = setTimeout(this.#limits.statementMs, false, { ref: false });
    return Promise.race([this.#isLast().catch(() => false), tooLong]);
  }

  async #isLast(): Promise<boolean> {
    await this.#sql`select pg_advisory_unlock_shared(${serverInUse})`;
    const [row] = await this.#sql<{ last: boolean }[]>`
      select pg_try_advisory_lock(${serverInUse}) and not exists (
        select from pg_stat_activity
        where application_name like 'kennel%' and application_name <> ${applicationName()}
      ) as last`;
    return row?.last === true;
  }

  /** Gives up the connection, and every lock with it. */
  async close(): Promise<void> {
    await this.#sql.end({ timeout: 0 });
  }
}

/** Another process created it at the same moment. */
function ignoreDuplicate(error: unknown): void {
  const known = error instanceof postgres.PostgresError && /^(42P04|23505)$/.test(error.code);
  if (!known) throw error;
}
