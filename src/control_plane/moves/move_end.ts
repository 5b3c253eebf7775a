/** One end of a move: the place of a tenant's rows before or after it, and the transactions there. */
import type { TenantRef } from '../../kernel/ports.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { readTableGroups, type TableGroup } from '../provisioning/stored_tables.ts';
import { assertUp } from '../servers/probe.ts';
import { admitOnly, removeFence } from './fence.ts';
import { assertingOwned, type OwnedMove } from './move_record.ts';
import { TenantSession } from './tenant_session.ts';

/** The rows of a tenant in one generation. Rows that are replaced in their place have one end alone. */
export class MoveEnd {
  readonly ref: TenantRef;
  readonly placement: Placement;
  readonly session: TenantSession;
  readonly #fleet: Fleet;
  readonly #fenceGuard: string;

  /** @param movers the connections of its transactions. */
  constructor(
    { fleet, movers }: { fleet: Fleet; movers: ConnectionPool },
    move: OwnedMove,
    ref: Omit<TenantRef, 'id'>,
  ) {
    const { modes, installation, admin } = fleet;
    this.ref = { ...ref, id: move.id };
    this.#fleet = fleet;
    this.placement = modes.placementOf(this.ref);
    const { placement } = this;
    const isInMain = placement.database === installation.database && !isDedicated(placement);
    // The record of the move is in the main database, so only transactions there can read it.
    const guard = isInMain ? assertingOwned(move) : 'select';
    this.#fenceGuard = isDedicated(placement) ? assertingOwned(move) : guard;
    this.session = new TenantSession(
      { movers, installation, admin },
      { placement, tenant: move.id, guard },
    );
  }

  get isDedicated(): boolean {
    return isDedicated(this.placement);
  }

  /** Whether its server never comes back. */
  get isLost(): boolean {
    return this.#fleet.installation.isLost(this.ref.server);
  }

  /** To be called before work there. @throws {Refusal} `unavailable` when its server is down. */
  assertUp(): Promise<void> {
    return assertUp(this.#fleet, this.ref.server);
  }

  tables(): Promise<TableGroup[]> {
    return this.session.write((sql) => readTableGroups(sql, this.placement.schema));
  }

  /** Refuses all contexts but those of a generation: by default that of the end itself. */
  fence(generation = this.ref.generation): Promise<void> {
    const placement = this.#fleet.modes.placementOf({ ...this.ref, generation });
    return admitOnly(this.#fleet, placement, { tenant: this.ref.id, guard: this.#fenceGuard });
  }

  /** Admits the contexts of this end again. */
  unfence(): Promise<void> {
    const hasMoved = this.ref.generation > 0;
    const change = { tenant: this.ref.id, guard: this.#fenceGuard };
    return (hasMoved ? admitOnly : removeFence)(this.#fleet, this.placement, change);
  }
}
