/** The row of a move in the registry: what the operator sees, and what a recovery continues from. */
import type { Db, Sql, TenantRef } from '../../kernel/ports.ts';
import { mainServer, type Slug, type TenantId } from '../../kernel/tenant.ts';
import { type OperatorChange, recordChange } from '../audit/record.ts';

/** Whether the rows move to another place, or are replaced in their own. */
export type MoveKind = 'move' | 'restore';

export type MoveState = 'copying' | 'catching_up' | 'switched' | 'done' | 'failed';

/** A move as the operator sees it. */
export type MoveView = {
  kind: MoveKind;
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
  kind: MoveKind;
  /** The process that works on the move. */
  owner: string;
  origin: string;
  originServer: string;
  destination: string;
  destinationServer: string;
  /** The tenant's generation at the destination; at the origin it is one less. */
  generation: number;
  state: MoveState;
};

/** A move, as the process that works on it knows it. */
export type OwnedMove = Pick<MoveRow, 'id' | 'owner'>;

/** The event that commits with the switch. */
export type SwitchEvent = Pick<OperatorChange, 'id' | 'event' | 'requestId' | 'details'>;

/** Reads and writes the rows of moves. Once begun, a move is changed by its owner alone until another takes it over. */
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
      select kind, origin as from, destination as to, nullif(destination_server, ${mainServer}) as server, state, rows, pause_ms,
        moves.started_at, ended_at, error
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where slug = ${slug}`;
    return row ?? null;
  }

  /**
   * The tenants with moves that are under way, or were left behind by a killed process.
   *
   * @param server only moves to or from it; null for all.
   * @param down servers: nothing can be done for moves from these. Moves to these are the last: only their origin
   *   can be opened again.
   */
  async unfinished({
    server,
    down,
    limit,
  }: {
    server: string | null;
    down: readonly string[];
    limit: number;
  }): Promise<Slug[]> {
    const rows = await this.#control<{ slug: Slug }>`
      select slug
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where state in ('copying', 'catching_up', 'switched')
        and (${server}::text is null or ${server} in (origin_server, destination_server))
        and origin_server <> all (${down})
      order by destination_server = any (${down}), moves.started_at
      limit ${limit}`;
    return rows.map(({ slug }) => slug);
  }

  /** The servers of unfinished moves. @param server as above. */
  async servers(server: string | null): Promise<string[]> {
    const rows = await this.#control<{ server: string }>`
      select distinct unnest(array[origin_server, destination_server]) as server
      from control.moves
      where state in ('copying', 'catching_up', 'switched')
        and (${server}::text is null or ${server} in (origin_server, destination_server))`;
    return rows.map(({ server }) => server);
  }

  /** The unfinished move of one tenant. */
  async unfinishedOf(slug: Slug): Promise<MoveRow | null> {
    const [row] = await this.#control<MoveRow>`
      select tenant_id as id, slug, kind, owner, origin, origin_server as "originServer", destination,
        destination_server as "destinationServer", moves.generation, state
      from control.moves
        join control.tenants on tenants.id = tenant_id
      where slug = ${slug} and state in ('copying', 'catching_up', 'switched')`;
    return row ?? null;
  }

  /** @throws {Error} when an earlier move of the tenant has not ended. */
  async begin(
    { id, isolation, server, generation }: TenantRef,
    { kind, ...destination }: Pick<TenantRef, 'isolation' | 'server'> & Pick<MoveRow, 'kind'>,
  ): Promise<Omit<MoveRow, 'slug'>> {
    const [row] = await this.#control<Omit<MoveRow, 'slug'>>`
      insert into control.moves
        (tenant_id, kind, origin, origin_server, destination, destination_server, generation, state)
      values (${id}, ${kind}, ${isolation}, ${server}, ${destination.isolation},
        ${destination.server}, ${generation + 1}, 'copying')
      on conflict (tenant_id) do update
      set kind = excluded.kind, origin = excluded.origin, origin_server = excluded.origin_server,
        destination = excluded.destination, destination_server = excluded.destination_server,
        generation = excluded.generation, state = excluded.state, owner = excluded.owner, rows = 0,
        rows_total = null, pause_ms = null, error = null, started_at = clock_timestamp(), ended_at = null
      where moves.state in ('done', 'failed')
      returning tenant_id as id, kind, owner, origin, origin_server as "originServer", destination,
        destination_server as "destinationServer", generation, state`;
    if (!row) throw new Error('Cannot begin to move the tenant: an earlier move has not ended');
    return row;
  }

  /** @throws {Error} when another process has taken the move over. */
  async assertOwned({ id, owner }: OwnedMove): Promise<void> {
    assertFound(
      await this.#control`
        select from control.moves where tenant_id = ${id} and owner = ${owner}`,
    );
  }

  /** Stores how many rows are copied. @throws {Error} as `assertOwned`; so do the following ones but `recordPause`. */
  async recordProgress({ id, owner }: OwnedMove, rows: number, of: number): Promise<void> {
    assertFound(
      await this.#control`
        update control.moves set rows = ${rows}, rows_total = ${of}
        where tenant_id = ${id} and owner = ${owner}
        returning 1`,
    );
  }

  /** From now on the rows that changed during the copy are copied again. */
  async beginCatchUp({ id, owner }: OwnedMove): Promise<void> {
    assertFound(
      await this.#control`
        update control.moves set state = 'catching_up'
        where tenant_id = ${id} and owner = ${owner}
        returning 1`,
    );
  }

  /** Switches the tenant to its destination: one row of the registry, with the event. */
  switchOver(move: MoveRow, change: SwitchEvent): Promise<void> {
    const { id, slug, owner, destination, destinationServer, generation } = move;
    return this.#control.transaction(async (sql) => {
      assertFound(
        await sql`
          update control.moves set state = 'switched'
          where tenant_id = ${id} and owner = ${owner} and state = 'catching_up'
          returning 1`,
      );
      await sql`
        update control.tenants
        set isolation = ${destination}, server = ${destinationServer}, generation = ${generation},
          updated_at = now()
        where id = ${id}`;
      await recordChange(sql, { ...change, actor: 'operator', tenant: { id, slug } });
    });
  }

  /** Stores how long writes were stopped. Does nothing when another process has taken the move over. */
  async recordPause({ id, owner }: OwnedMove, pauseMs: number): Promise<void> {
    await this.#control`
      update control.moves set pause_ms = ${pauseMs} where tenant_id = ${id} and owner = ${owner}`;
  }

  /** Ends a move that succeeded. */
  async markDone({ id, owner }: OwnedMove): Promise<void> {
    assertFound(
      await this.#control`
        update control.moves set state = 'done', ended_at = clock_timestamp()
        where tenant_id = ${id} and owner = ${owner}
        returning 1`,
    );
  }

  /** Ends a move that was undone, with the reason. */
  async markFailed({ id, owner }: OwnedMove, error: string): Promise<void> {
    assertFound(
      await this.#control`
        update control.moves
        set state = 'failed', error = left(${error}, ${this.#errorChars}), ended_at = clock_timestamp()
        where tenant_id = ${id} and owner = ${owner}
        returning 1`,
    );
  }

  /**
   * Takes an unfinished move over from another process, or from an earlier attempt of this one, whose last
   * transaction may still be running: after this it either has switched, or cannot any more.
   *
   * @returns the move with its new owner; null when it has ended, or another process was first.
   */
  takeOver(move: MoveRow): Promise<MoveRow | null> {
    const { id, owner } = move;
    return this.#control.transaction(async (sql: Sql) => {
      // Waits for transactions with `assertingOwned` in them, too.
      await sql`select from control.moves where tenant_id = ${id} for update`;
      const [taken] = await sql<Pick<MoveRow, 'owner' | 'state'>>`
        update control.moves
        set owner = gen_random_uuid(),
          state = case state when 'catching_up' then 'copying' else state end
        where tenant_id = ${id} and owner = ${owner}
          and state in ('copying', 'catching_up', 'switched')
        returning owner, state`;
      return taken ? { ...move, ...taken } : null;
    });
  }

  /**
   * The state of a move whose transaction may still be about to commit; null when another move of the tenant has
   * begun.
   */
  async stateOf(move: MoveRow): Promise<MoveState | null> {
    const { id, destination, destinationServer, generation } = move;
    const [row] = await this.#control<{ state: MoveState }>`
      select state from control.moves
      where tenant_id = ${id} and destination = ${destination} and generation = ${generation}
        and destination_server = ${destinationServer}
      for no key update`;
    return row?.state ?? null;
  }
}

/**
 * Returns SQL for a transaction of a move in the main database. It fails when another process has taken the
 * move over; until the transaction ends, none can.
 */
export function assertingOwned({ id, owner }: OwnedMove): string {
  return `do $$ begin
      perform from control.moves where tenant_id = '${id}' and owner = '${owner}' for key share;
      if not found then
        raise exception '${takenOver}';
      end if;
    end $$`;
}

const takenOver = 'Cannot continue: another process has taken the move over';

function assertFound(rows: readonly object[]): void {
  if (rows.length === 0) throw new Error(takenOver);
}
