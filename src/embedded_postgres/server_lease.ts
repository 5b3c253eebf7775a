/**
 * A lease on the shared server: one connection with a shared lock for each process that uses the server.
 * The last process to release its lease stops the server. Locks decide which one that is, also when two
 * leave at once, or one enters while another leaves.
 */
import { setTimeout } from 'node:timers/promises';
import postgres from 'postgres';
import { applicationName } from '../postgres/application_name.ts';
import { sessionSettings } from '../postgres/session_settings.ts';

/** Timeouts for the connection and for a statement. */
export type LeaseLimits = { connectSeconds: number; statementMs: number };

// Arbitrary numbers: no other program uses locks in this database.
const serverInUse = 1;
const rightsInChange = 2;

/**
 * Options that the driver would otherwise read from variables such as PGSSL or PGTARGETSESSIONATTRS. The
 * user may have set these for another server.
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

export class ServerLease {
  readonly #sql: postgres.Sql;
  readonly #limits: LeaseLimits;

  /** @param url Of the database `postgres`: locks belong to one database, so all use the same. */
  constructor(url: string, limits: LeaseLimits) {
    this.#limits = limits;
    this.#sql = postgres(url, {
      ...ownOptions,
      connect_timeout: limits.connectSeconds,
      connection: {
        // Not the process's own name, because `leave` looks for sessions with that.
        application_name: `presence of ${applicationName()}`,
        ...sessionSettings({
          statementTimeoutMs: limits.statementMs,
          lockTimeoutMs: limits.statementMs,
          idleInTransactionTimeoutMs: limits.statementMs,
        }),
      },
    });
  }

  /** Takes the lease, after waiting for a process that stops the server. Returns null or the error. */
  async enter(): Promise<string | null> {
    try {
      await this.#sql`select pg_advisory_lock_shared(${serverInUse})`;
      return null;
    } catch (error) {
      await this.close();
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Takes the lease again after the server, and with it the lock, was lost. */
  async renew(): Promise<void> {
    await this.#sql`select pg_advisory_lock_shared(${serverInUse})`;
  }

  /** Creates the database unless it is there. */
  async ensureDatabase(name: string): Promise<void> {
    const [present] = await this.#sql`select from pg_database where datname = ${name}`;
    if (!present) await this.#sql`create database ${this.#sql(name)}`.catch(ignoreDuplicate);
  }

  /** Revokes the right to connect to the default databases from all but the superuser. */
  async closeSpareDatabases(): Promise<void> {
    await this.#sql.begin(async (sql) => {
      // Two concurrent changes of a database's rights would both fail.
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

  /** Returns true when no other process is left; then no process can enter until `close`. */
  async leave(): Promise<boolean> {
    const timeout = setTimeout(this.#limits.statementMs, false, { ref: false });
    return Promise.race([this.#isLast().catch(() => false), timeout]);
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

  /** Closes the connection, which releases every lock. */
  async close(): Promise<void> {
    await this.#sql.end({ timeout: 0 });
  }
}

/** Another process created it at the same moment. */
function ignoreDuplicate(error: unknown): void {
  const known = error instanceof postgres.PostgresError && /^(42P04|23505)$/.test(error.code);
  if (!known) throw error;
}
