/** One place of a tenant's rows while they are moved or replaced, and the transactions there. */
import type { TenantRef } from '../../kernel/ports.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { readTableGroups, type TableGroup } from '../provisioning/stored_tables.ts';
import { admitOnly, removeFence } from './fence.ts';
import { TenantSession } from './tenant_session.ts';

/** The rows of a tenant in one generation. */
export class Place {
  readonly ref: TenantRef;
  readonly placement: Placement;
  readonly session: TenantSession;
  readonly #fleet: Fleet;

  /** @param movers the connections of its transactions. */
  constructor({ fleet, movers }: { fleet: Fleet; movers: ConnectionPool }, ref: TenantRef) {
    const { modes, installation } = fleet;
    this.ref = ref;
    this.#fleet = fleet;
    this.placement = modes.placementOf(ref);
    this.session = new TenantSession({ movers, installation }, this.placement, ref.id);
  }

  get isDedicated(): boolean {
    return isDedicated(this.placement);
  }

  tables(): Promise<TableGroup[]> {
    return this.session.write((sql) => readTableGroups(sql, this.placement.schema));
  }

  /** Refuses all contexts but those of a generation: by default that of the place itself. */
  fence(generation = this.ref.generation): Promise<void> {
    const placement = this.#fleet.modes.placementOf({ ...this.ref, generation });
    return admitOnly(this.#fleet, placement, this.ref.id);
  }

  /** Admits the contexts of this place again. */
  unfence(): Promise<void> {
    const hasMoved = this.ref.generation > 0;
    return (hasMoved ? admitOnly : removeFence)(this.#fleet, this.placement, this.ref.id);
  }
}
