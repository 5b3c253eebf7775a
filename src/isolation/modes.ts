/** The registered isolation modes. A new one needs a file in this folder, and its name and factory here. */
import type { TenantRef } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import type { Placement } from '../postgres/placement.ts';
import { databaseMode } from './database.ts';
import type { IsolationMode, ModeFactory } from './mode.ts';
import { schemaMode } from './schema.ts';
import { sharedMode } from './shared.ts';

export const isolationModes = ['shared', 'schema', 'database'] as const;

export type IsolationModeName = (typeof isolationModes)[number];

const factories: Readonly<Record<IsolationModeName, ModeFactory>> = {
  shared: sharedMode,
  schema: schemaMode,
  database: databaseMode,
};

/** The tenants whose tables are in one schema. They are migrated together. */
export type PlacementGroup<T extends TenantRef> = {
  placement: Placement;
  /** Empty when a common placement has no tenant yet. */
  tenants: T[];
  /** Whether the placement exists with or without tenants. */
  common: boolean;
};

/** The modes of one installation, found by the mode that is stored with each tenant. */
export class IsolationModes {
  readonly #modes: ReadonlyMap<string, IsolationMode>;

  /** @param more Further modes, such as a test's own. */
  constructor(installation: Installation, more: readonly ModeFactory[] = []) {
    const modes = [...Object.values(factories), ...more].map((make) => make(installation));
    this.#modes = new Map(modes.map((mode) => [mode.name, mode]));
  }

  /** @throws {Error} for an unknown mode: newer code may have made the tenant. */
  of({ isolation }: Pick<TenantRef, 'isolation'>): IsolationMode {
    const mode = this.#modes.get(isolation);
    if (mode) return mode;
    throw new Error(`Cannot place a tenant: the isolation mode "${isolation}" is unknown`);
  }

  placementOf(tenant: TenantRef): Placement {
    return this.of(tenant).placementOf(tenant);
  }

  commonPlacements(): { mode: string; placement: Placement }[] {
    return [...this.#modes.values()].flatMap((mode) =>
      mode.commonPlacements().map((placement) => ({ mode: mode.name, placement })),
    );
  }

  /** Groups tenants by schema. Common placements come last: they have the most tenants. */
  groupsOf<T extends TenantRef>(tenants: readonly T[]): PlacementGroup<T>[] {
    const common = new Map<string, PlacementGroup<T>>();
    for (const { placement } of this.commonPlacements()) {
      common.set(keyOf(placement), { placement, tenants: [], common: true });
    }
    const own = new Map<string, PlacementGroup<T>>();
    for (const tenant of tenants) {
      const placement = this.placementOf(tenant);
      const key = keyOf(placement);
      const known = common.get(key) ?? own.get(key);
      if (known) known.tenants.push(tenant);
      else own.set(key, { placement, tenants: [tenant], common: false });
    }
    return [...own.values(), ...common.values()];
  }

  /** The names of the modes whose tenants may live on any server. */
  get withServers(): string[] {
    return [...this.#modes.values()].flatMap(({ name, hasServers }) => (hasServers ? [name] : []));
  }

  /** Whether other tenants' rows are in the tenant's tables. */
  isCommon(tenant: TenantRef): boolean {
    const key = keyOf(this.placementOf(tenant));
    return this.commonPlacements().some(({ placement }) => keyOf(placement) === key);
  }
}

/** Two placements with the same key have the same tables. */
function keyOf({ server, database, schema }: Placement): string {
  return `${server} ${database} ${schema}`;
}
