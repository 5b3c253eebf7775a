/**
 * Transactions on one tenant's tables, as the owner of the tables and in the tenant's context: row security
 * applies to the owner too, so no statement can copy another tenant's rows.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { DatabasePlace, Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { becomeMember } from '../provisioning/logins.ts';
import { beginAsOwner, pastFence } from '../provisioning/owner_context.ts';

export type TenantSessionParts = Pick<Fleet, 'admin' | 'installation'> & { movers: ConnectionPool };

export class TenantSession {
  readonly #parts: TenantSessionParts;
  readonly #placement: Placement;
  readonly #tenant: TenantId;
  readonly #guard: string;

  /**
   * @param placement in its own database, of a generation whose contexts are valid there.
   * @param guard SQL that fails in a transaction of a process that has lost its move.
   */
  constructor(
    parts: TenantSessionParts,
    { placement, tenant, guard }: { placement: Placement; tenant: TenantId; guard: string },
  ) {
    this.#parts = parts;
    this.#placement = placement;
    this.#tenant = tenant;
    this.#guard = guard;
  }

  /** Reads at one snapshot. Writes to tables without other writers are possible, too. */
  snapshot<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#transaction('repeatable read', work);
  }

  write<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#transaction('read committed', work);
  }

  /** Runs statements without parameters in one transaction. */
  script(text: string): Promise<void> {
    return this.#use((connection) =>
      connection.script(`${this.#opening('read committed', connection)}; ${text}; commit`),
    );
  }

  /**
   * Waits until no transaction of a process that was killed or hangs is running: Postgres finishes a statement although
   * its process is gone. Each transaction of a move holds a lock, which this waits for; idle ones are terminated.
   *
   * @param work is done before any of them can begin.
   */
  async settle<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    await endIdleTransactions(this.#parts, this.#placement, this.#tenant);
    const begin = `begin; set local role "${this.#owner}";
      select pg_advisory_xact_lock(${moveLock(this.#tenant)})`;
    return this.#use((connection) => connection.transaction(begin, work));
  }

  get #owner(): string {
    return this.#parts.installation.roles.owner;
  }

  #transaction<Result>(level: string, work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return this.#use((connection) =>
      connection.transaction(this.#opening(level, connection), work),
    );
  }

  #use<Result>(work: (connection: Connection) => Promise<Result>): Promise<Result> {
    const { movers, installation } = this.#parts;
    const url = installation.migrationUrlOf(this.#placement);
    return movers.exclusive(url, this.#tenant, work);
  }

  #opening(level: string, connection: Connection): string {
    const owned = { placement: pastFence(this.#placement), tenant: this.#tenant };
    const begin = beginAsOwner(
      this.#parts,
      { ...owned, mode: `isolation level ${level}` },
      connection,
    );
    return `${begin}; select pg_advisory_xact_lock_shared(${moveLock(this.#tenant)}); ${this.#guard}`;
  }
}

/**
 * Ends the transactions of a tenant's moves in a database that wait for their process. As the administrator: the login
 * of migrations may not see who holds which locks.
 */
export function endIdleTransactions(
  { admin, installation }: Pick<Fleet, 'admin' | 'installation'>,
  place: DatabasePlace,
  tenant: TenantId,
): Promise<void> {
  return admin.exclusive(installation.adminUrlOf(place), fleetWork, async (connection) => {
    await becomeMember(connection, installation.roles.migrate);
    await connection.script(`
      select pg_terminate_backend(pid)
      from pg_locks
        join pg_stat_activity using (pid)
      where locktype = 'advisory' and objsubid = 1 and database = datid
        and datname = current_database() and state like 'idle in transaction%'
        and classid::bigint << 32 | objid::bigint = ${moveLock(tenant)}`);
  });
}

/** SQL for the key of the lock that each transaction of a move shares. */
function moveLock(tenant: TenantId): string {
  return `hashtextextended('kennel move ${tenant}', 0)`;
}
