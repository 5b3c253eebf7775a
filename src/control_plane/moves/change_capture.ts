/**
 * Collects the keys of the rows that a tenant changes while it moves, and stops its writes at the end. A
 * schema of its own holds the keys, the fence of the writes and the trigger functions; each table has two
 * triggers. Without them nothing of it is left: a tenant that does not move pays nothing, and in shared tables
 * the condition of a trigger excludes the rows of all other tenants.
 */
import type { TenantId } from '../../kernel/tenant.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { isLockTimeout, type LockLimits, retryLocked } from './lock_retries.ts';
import type { MovingTable, TableGroup } from './moving_tables.ts';
import { keyOf, literal } from './row_statements.ts';
import type { TenantSession } from './tenant_session.ts';

export class ChangeCapture {
  /** The schema. Its name is also that of the triggers. */
  readonly name: string;
  readonly #fleet: Fleet;
  readonly #source: TenantSession;
  readonly #placement: Placement;
  readonly #tenant: TenantId;
  readonly #limits: LockLimits;

  constructor(
    fleet: Fleet,
    place: { source: TenantSession; placement: Placement; tenant: TenantId },
    limits: LockLimits,
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
    const tables = groups.flatMap((group) => group.tables);
    await this.#createSchema();
    await this.#source.script(this.#collection(tables));
    for (const table of tables) await this.#locking(this.#triggers(table));
  }

  /** Removes everything. May be repeated. */
  async drop(groups: readonly TableGroup[]): Promise<void> {
    for (const { name } of groups.flatMap((group) => group.tables)) {
      await this.#locking(
        `drop trigger if exists "${this.name}" on ${name};
         drop trigger if exists "${this.name}_gone" on ${name}`,
      );
    }
    // Drops no trigger any more, so it locks none of the tenants' tables.
    await this.#source.script(
      `set local client_min_messages = warning; drop schema if exists "${this.name}" cascade`,
    );
  }

  /**
   * Refuses all writes from now on, and waits for the running ones.
   *
   * @returns false, without a fence, when they took longer than `waitMs`.
   */
  async stopWrites(waitMs: number): Promise<boolean> {
    await this.#source.script(`insert into "${this.name}".fence default values`);
    try {
      await this.#source.script(
        `set local lock_timeout = ${waitMs}; select pg_advisory_xact_lock(${this.#writersLock})`,
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
    const target = installation.adminTarget(this.#placement);
    return admin.exclusive(target, fleetWork, (connection) =>
      connection.script(
        `create schema if not exists "${this.name}" authorization "${installation.roles.owner}"`,
      ),
    );
  }

  #locking(statements: string): Promise<void> {
    const { lockTimeoutMs } = this.#limits;
    const script = `set local client_min_messages = warning;
      set local lock_timeout = ${lockTimeoutMs}; ${statements}`;
    return retryLocked(() => this.#source.script(script), this.#limits);
  }

  #collection(tables: readonly MovingTable[]): string {
    return `
      create table "${this.name}".changes (name text not null, key text not null);
      create index on "${this.name}".changes (name, key);
      create table "${this.name}".fence (raised_at timestamptz not null default now());
      ${tables.map((table) => this.#function(table)).join(';')}`;
  }

  /**
   * The trigger function of one table. A write that sees no fence before the lock, but does behind it, came
   * too late as well. Security definer, because serving roles have no rights in the schema.
   */
  #function({ name, key }: MovingTable): string {
    const fenced = `if exists (select from "${this.name}".fence) then
          raise sqlstate 'KN001' using message = 'the tenant is about to move';
        end if;`;
    const record = (row: 'old' | 'new') =>
      `insert into "${this.name}".changes (name, key) values (${literal(name)}, ${keyOf(row, key)});`;
    return `create function "${this.name}".${name}() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp
      as $capture$
      begin
        ${fenced}
        perform pg_advisory_xact_lock_shared(${this.#writersLock});
        ${fenced}
        if tg_op <> 'INSERT' then
          ${record('old')}
        end if;
        if tg_op = 'INSERT' or tg_op = 'UPDATE' and ${keyOf('old', key)} <> ${keyOf('new', key)} then
          ${record('new')}
        end if;
        return null;
      end
      $capture$;
      revoke execute on function "${this.name}".${name}() from public`;
  }

  #triggers({ name }: MovingTable): string {
    const run = `execute function "${this.name}".${name}()`;
    return `create trigger "${this.name}" after insert or update on ${name} for each row
        when (new.tenant_id = '${this.#tenant}') ${run};
      create trigger "${this.name}_gone" after delete on ${name} for each row
        when (old.tenant_id = '${this.#tenant}') ${run}`;
  }

  get #writersLock(): string {
    return `hashtextextended('kennel writers of ${this.#tenant}', 0)`;
  }
}

/** The name of a tenant's capture, which reveals nothing about the tenant. */
export function captureOf(tenant: TenantId): string {
  return `move_${tenant.replaceAll('-', '')}`;
}
