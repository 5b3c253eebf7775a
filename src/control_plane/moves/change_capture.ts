/**
 * Collects the keys of the rows that a tenant changes while it moves, and stops its writes at the end. A
 * schema of its own holds the keys, the fence of the writes and the trigger functions; each table has three
 * triggers. After a move all of it is removed: a tenant that does not move pays nothing, and in shared tables
 * the condition of a trigger excludes the rows of all other tenants.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Placement } from '../../postgres/placement.ts';
import { sessionSettings } from '../../postgres/session_settings.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { identifier } from '../generated_sql.ts';
import { type StoredTable, type TableGroup, tablesOf } from '../provisioning/stored_tables.ts';
import { isLockTimeout, type LockLimits, retryLocked } from './lock_retries.ts';
import { keyText, literal } from './row_statements.ts';
import type { TenantSession } from './tenant_session.ts';

/** How long it may take to lock the tables, and to stop the writes. */
export type CaptureLimits = LockLimits & {
  fenceWaitMs: number;
  fenceAttempts: number;
  fenceRetryMs: number;
  /** The locks that remove the triggers. */
  removal: LockLimits;
};

/** The settings that decide the text of a value, as in each session of a move. */
const formOfKeys = ['DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits', 'bytea_output'];
const pinned = sessionSettings({
  ...{ statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 },
});

export class ChangeCapture {
  /** The schema. Its name is also that of the triggers. */
  readonly name: string;
  readonly #fleet: Fleet;
  readonly #source: TenantSession;
  readonly #placement: Placement;
  readonly #tenant: TenantId;
  readonly #limits: CaptureLimits;

  constructor(
    fleet: Fleet,
    place: { source: TenantSession; placement: Placement; tenant: TenantId },
    limits: CaptureLimits,
  ) {
    this.name = captureOf(place.tenant);
    this.#fleet = fleet;
    this.#source = place.source;
    this.#placement = place.placement;
    this.#tenant = place.tenant;
    this.#limits = limits;
  }

  /** From now on every write is recorded. Waits for those that run already. */
  async create(groups: readonly TableGroup[]): Promise<void> {
    const tables = tablesOf(groups);
    await this.#createSchema();
    await this.#source.script(this.#collection(tables));
    for (const table of tables) await this.#locking(this.#triggers(table));
  }

  /**
   * Lets the tenant write again, without waiting for the removal of the triggers, which waits for all readers of
   * a table. May be repeated, also without a schema. Call it only while the tenant is served from this placement.
   */
  admitWrites(): Promise<void> {
    const fence = `"${this.name}".fence`;
    return this.#source.script(`
      do $admit$ begin
        if to_regclass('${fence}') is not null then
          delete from ${fence};
        end if;
      end $admit$`);
  }

  /**
   * Removes everything. May be repeated. The snapshot of another move keeps the triggers as long as it copies, and
   * everyone waits behind an attempt to remove them.
   */
  async drop(groups: readonly TableGroup[]): Promise<void> {
    for (const { name } of tablesOf(groups)) {
      await this.#locking(
        `drop trigger if exists "${this.name}" on ${identifier(name)};
         drop trigger if exists "${this.name}_gone" on ${identifier(name)};
         drop trigger if exists "${this.name}_begun" on ${identifier(name)}`,
        this.#limits.removal,
      );
    }
    // Drops no trigger any more, so it locks none of the tenants' tables.
    await this.#source.script(
      `set local client_min_messages = warning; drop schema if exists "${this.name}" cascade`,
    );
  }

  /**
   * Refuses all writes from now on, and waits for the running ones. If these take long, the fence is lifted
   * and tried again later.
   *
   * @param onLifted is called before each further attempt.
   * @throws {Error} when the transactions of the tenant never ended in time.
   */
  async stopWrites(onLifted: () => Promise<unknown> = async () => {}): Promise<void> {
    const { fenceAttempts, fenceRetryMs } = this.#limits;
    for (let attempt = 1; attempt <= fenceAttempts; attempt += 1) {
      if (await this.#raiseFence()) return;
      await pause(fenceRetryMs);
      await onLifted();
    }
    throw new Error(
      'Cannot stop the writes of the tenant: its transactions take too long; try again later',
    );
  }

  async #raiseFence(): Promise<boolean> {
    await this.#source.script(`insert into "${this.name}".fence default values`);
    const { fenceWaitMs } = this.#limits;
    try {
      await this.#source.script(
        `set local lock_timeout = ${fenceWaitMs}; select pg_advisory_xact_lock(${this.#writersLock})`,
      );
      return true;
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      await this.#source.script(`delete from "${this.name}".fence`);
      return false;
    }
  }

  /** As the administrator: the owner may create no schema in the main database. */
  #createSchema(): Promise<void> {
    const { admin, installation } = this.#fleet;
    const url = installation.adminUrlOf(this.#placement);
    return admin.exclusive(url, fleetWork, (connection) =>
      connection.script(
        `create schema if not exists "${this.name}" authorization "${installation.roles.owner}"`,
      ),
    );
  }

  #locking(statements: string, limits: LockLimits = this.#limits): Promise<void> {
    return retryLocked(
      (timeoutMs) =>
        this.#source.script(
          `set local client_min_messages = warning; set local lock_timeout = ${timeoutMs}; ${statements}`,
        ),
      limits,
    );
  }

  #collection(tables: readonly StoredTable[]): string {
    return `
      create table "${this.name}".changes (name text not null, key text not null);
      create index on "${this.name}".changes (name, key);
      create table "${this.name}".fence (raised_at timestamptz not null default now());
      ${tables.map((table) => this.#function(table)).join(';')}`;
  }

  /**
   * The trigger function of one table. A write that sees the fence only after it has the lock is
   * refused, too. The fence stops contexts of the present generation alone, so a restore leaves it
   * up: a write may have begun before its rows were replaced and ask for the fence afterwards. Security definer, because serving roles have no rights in the schema. A key has the form
   * that the move reads, not that of the session that writes: an operator may have set another one.
   */
  #function({ name, key }: StoredTable): string {
    const settings = formOfKeys.map((setting) => `set ${setting} = '${pinned[setting]}'`).join(' ');
    const fenced = `if split_part(current_setting('kennel.tenant', true), '.', 2) = '${this.#placement.generation}'
          and exists (select from "${this.name}".fence)
        then
          raise sqlstate 'KN001' using message = 'the tenant is about to move';
        end if;`;
    const record = (row: 'old' | 'new') =>
      `insert into "${this.name}".changes (name, key) values (${literal(name)}, ${keyText(row, key)});`;
    const run = `"${this.name}".${identifier(name)}()`;
    return `create function ${run} returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp ${settings}
      as $capture$
      begin
        ${fenced}
        perform pg_advisory_xact_lock_shared(${this.#writersLock});
        ${fenced}
        if tg_level = 'STATEMENT' then
          return null;
        end if;
        if tg_op <> 'INSERT' then
          ${record('old')}
        end if;
        if tg_op = 'INSERT' or tg_op = 'UPDATE' and ${keyText('old', key)} <> ${keyText('new', key)} then
          ${record('new')}
        end if;
        return null;
      end
      $capture$;
      revoke execute on function ${run} from public`;
  }

  /**
   * The tenant's writes alone: those of the control plane have the login of migrations. A statement is stopped
   * before it looks for its rows: otherwise it would wait for those that a restore is replacing, and then miss them.
   */
  #triggers({ name }: StoredTable): string {
    const run = `execute function "${this.name}".${identifier(name)}()`;
    const byServer = `session_user <> '${this.#fleet.installation.roles.migrate}'`;
    const byTenant = (row: 'old' | 'new') => `${row}.tenant_id = '${this.#tenant}' and ${byServer}`;
    const inContext = `split_part(current_setting('kennel.tenant', true), '.', 1) = '${this.#tenant}'`;
    return `create trigger "${this.name}_begun" before insert or update or delete on ${identifier(name)}
        for each statement when (${inContext} and ${byServer}) ${run};
      create trigger "${this.name}" after insert or update on ${identifier(name)} for each row
        when (${byTenant('new')}) ${run};
      create trigger "${this.name}_gone" after delete on ${identifier(name)} for each row
        when (${byTenant('old')}) ${run}`;
  }

  get #writersLock(): string {
    return `hashtextextended('kennel writers of ${this.#tenant}', 0)`;
  }
}

/** The name of a tenant's capture, which reveals nothing about the tenant. */
export function captureOf(tenant: TenantId): string {
  return `move_${tenant.replaceAll('-', '')}`;
}
