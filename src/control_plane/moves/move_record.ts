/** The row of a move in the registry: what the operator sees, and what a recovery continues from. */
import type { Db, Sql, TenantRef } from '../../kernel/ports.ts';
import { mainServer, type Slug, type TenantId } from '../../kernel/tenant.ts';
import { type OperatorChange, recordChange } from '../audit/record.ts';

export type MoveState = 'copying' | 'catching_up' | 'switched' | 'done' | 'failed';

/** A move as the operator sees it. */
export type MoveView = {
  from: string;
  to: string;
  /** The server of the destination; null for the main one, and for one that was removed since. */
  server: string | null;
  state: MoveState;
  rows: number;
  pause_ms: number | null;
  started_at: string;
  ended_at: string | null;
  error: string | null;
};

/** A move that has begun, with the facts that its recovery needs. */
export type MoveRow = {
  id: TenantId;
  slug: Slug;
  origin: string;
  originServer: string;
  destination: string;
  destinationServer: string;
  /** The tenant's generation at the destination; at the origin it is one less. */
  generation: number;
  state: MoveState;
};

/** The event that commits with the switch. */
export type SwitchEvent = Pick<OperatorChange, 'id' | 'event' | 'requestId' | 'details'>;

export class MoveRecord {
  readonly #control: Db;
  readonly #errorChars: number;

  /** @param errorChars the longest reason of a failure that is kept. */
  constructor(control: Db, { errorChars }: { errorChars: number }) {
    this.#control = control;
    this.#errorChars = errorChars;
  }

  /** The latest move of a tenant; null when it has never moved. */
  async find(slug: string): Promise<MoveView | null> {
    const [row] = await this.#control<MoveView>`
      select origin as from, destination as to, nullif(destination_server, ${mainServer}) as server, state, rows, pause_ms,
        moves.started_at, ended_at, error
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where slug = ${slug}`;
    return row ?? null;
  }

  /** Moves that are under way, or were left behind by a killed process. */
  unfinished(limit: number): Promise<MoveRow[]> {
    return this.#control<MoveRow>`
      select tenant_id as id, slug, origin, origin_server as "originServer", destination,
        destination_server as "destinationServer", moves.generation, state
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where state in ('copying', 'catching_up', 'switched')
      order by moves.started_at
      limit ${limit}`;
  }

  /** The unfinished move of one tenant. */
  async unfinishedOf(slug: Slug): Promise<MoveRow | null> {
    const [row] = await this.#control<MoveRow>`
      select tenant_id as id, slug, origin, origin_server as "originServer", destination,
        destination_server as "destinationServer", moves.generation, state
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where slug = ${slug} and state in ('copying', 'catching_up', 'switched')`;
    return row ?? null;
  }

  async begin(
    { id, isolation, server, generation }: TenantRef,
    destination: Pick<TenantRef, 'isolation' | 'server'>,
  ): Promise<void> {
    await this.#control`
      insert into control.moves
        (tenant_id, origin, origin_server, destination, destination_server, generation, state)
      values (${id}, ${isolation}, ${server}, ${destination.isolation}, ${destination.server},
        ${generation + 1}, 'copying')
      on conflict (tenant_id) do update
      set origin = excluded.origin, origin_server = excluded.origin_server,
        destination = excluded.destination, destination_server = excluded.destination_server,
        generation = excluded.generation, state = excluded.state, rows = 0, rows_total = null,
        pause_ms = null, error = null, started_at = clock_timestamp(), ended_at = null`;
  }

  async copied(id: TenantId, rows: number, of: number): Promise<void> {
    await this.#control`
      update control.moves set rows = ${rows}, rows_total = ${of} where tenant_id = ${id}`;
  }

  async catchingUp(id: TenantId): Promise<void> {
    await this.#control`
      update control.moves set state = 'catching_up' where tenant_id = ${id}`;
  }

  /**
   * Switches the tenant to its destination: one row of the registry, with the event.
   *
   * @throws {Error} when a recovery has taken the move over.
   */
  switchOver(move: MoveRow, change: SwitchEvent): Promise<void> {
    const { id, slug, destination, destinationServer, generation } = move;
    return this.#control.transaction(async (sql) => {
      const switched = await sql`
        update control.moves set state = 'switched'
        where tenant_id = ${id} and generation = ${generation} and state = 'catching_up'
        returning 1`;
      if (switched.length === 0) throw new Error('Cannot switch: the move was given up');
      await sql`
        update control.tenants
        set isolation = ${destination}, server = ${destinationServer}, generation = ${generation},
          updated_at = now()
        where id = ${id}`;
      await recordChange(sql, { ...change, actor: 'operator', tenant: { id, slug } });
    });
  }

  async paused(id: TenantId, pauseMs: number): Promise<void> {
    await this.#control`
      update control.moves set pause_ms = ${pauseMs} where tenant_id = ${id}`;
  }

  async done(id: TenantId): Promise<void> {
    await this.#control`
      update control.moves set state = 'done', ended_at = clock_timestamp() where tenant_id = ${id}`;
  }

  async failed(id: TenantId, error: string): Promise<void> {
    await this.#control`
      update control.moves
      set state = 'failed', error = left(${error}, ${this.#errorChars}), ended_at = clock_timestamp()
      where tenant_id = ${id}`;
  }

  /**
   * Takes a move over from a killed process, whose last transaction may still be running: after this it
   * either has switched, or cannot any more.
   */
  takeOver(id: TenantId): Promise<MoveState | null> {
    return this.#control.transaction(async (sql: Sql) => {
      const [row] = await sql<{ state: MoveState }>`
        select state from control.moves where tenant_id = ${id} for update`;
      if (row?.state === 'catching_up') {
        await sql`update control.moves set state = 'copying' where tenant_id = ${id}`;
      }
      return row?.state ?? null;
    });
  }
}
