/** What is examined: the placements of all tenants, and the databases that they are in. */
import type { Sql } from '../../kernel/ports.ts';
import {
  type IsolationMode,
  isolationModes,
  type TenantId,
  tenantId,
} from '../../kernel/tenant.ts';
import {
  type Installation,
  type Placement,
  placementOf,
  schemas,
} from '../../postgres/installation.ts';
import { type DedicatedPlacement, isOwn } from '../provisioning/dedicated_context.ts';

/** A placement, whose it is, and the version that its tables should have. */
export type ExaminedPlacement = {
  place: Placement;
  whose: string;
  version: number;
  /** Not while its tenant is being made or deleted. */
  active: boolean;
};

/** One of our databases, and the roles that have business there. */
export type ExaminedDatabase = {
  name: string;
  /** The one with the control schema. */
  isMain: boolean;
  /** Of active tenants whose tables are there. */
  placements: readonly ExaminedPlacement[];
  /** Of the main one all: what belongs to the whole server is examined from there. */
  known: readonly ExaminedPlacement[];
  /** The placement of the one tenant that the database belongs to; null where it has several. */
  dedicated: DedicatedPlacement | null;
  /** Works on tenants' tables. */
  app: string;
  /** The login that sets contexts; null where sessions begin with theirs. */
  setter: string | null;
  /** Roles of ours that serve here. */
  serving: readonly string[];
  /** All roles of ours but the owner: those that serve here, and those that do elsewhere. */
  ours: readonly string[];
  /** Our schemas, but those of tenants that are being made or deleted. */
  schemas: readonly string[];
};

type Row = {
  id: TenantId;
  slug: string;
  isolation: IsolationMode;
  version: number;
  active: boolean;
};

/**
 * One for each tenant; of a mode whose tenants have a placement in common, that one.
 *
 * @param newest version that the code knows.
 */
export async function readPlacements(
  sql: Sql,
  installation: Installation,
  newest: number,
): Promise<ExaminedPlacement[]> {
  const common = commonPlacements(installation);
  const rows = await sql<Row>`
    select id, slug, isolation, schema_version as version,
      status in ('active', 'suspended') as active
    from control.tenants
    where not ${JSON.stringify([...common.keys()])}::text::jsonb ? isolation
    order by slug`;
  return [
    ...[...common].map(([mode, place]) => {
      return { place, whose: `all tenants of ${mode} mode`, version: newest, active: true };
    }),
    ...rows.map(({ slug, version, active, ...tenant }) => {
      const place = placementOf(installation, tenant);
      return { place, whose: `tenant ${slug}`, version: Math.min(version, newest), active };
    }),
  ];
}

/** Any two tenants of a mode tell whether all have the same placement. */
function commonPlacements(installation: Installation): ReadonlyMap<IsolationMode, Placement> {
  const [one, other] = [tenantId(`${zeros}0`), tenantId(`${zeros}1`)];
  const common = new Map<IsolationMode, Placement>();
  for (const isolation of isolationModes) {
    const place = placementOf(installation, { id: one, isolation });
    const second = placementOf(installation, { id: other, isolation });
    const isSame = place.database === second.database && place.schema === second.schema;
    if (isSame) common.set(isolation, place);
  }
  return common;
}

const zeros = '00000000-0000-0000-0000-00000000000';

/** The main database, and each other one that an active tenant is in. */
export function databasesOf(
  installation: Installation,
  all: readonly ExaminedPlacement[],
): { main: ExaminedDatabase; others: ExaminedDatabase[] } {
  const byName = new Map<string, ExaminedPlacement[]>();
  for (const placement of all) {
    const { database } = placement.place;
    if (!placement.active) continue;
    const known = byName.get(database);
    if (known) known.push(placement);
    else byName.set(database, [placement]);
  }
  const { database: name } = installation;
  const main = databaseOf(installation, { name, placements: byName.get(name) ?? [], known: all });
  byName.delete(name);
  const others = [...byName].map(([name, placements]) =>
    databaseOf(installation, { name, placements, known: placements }),
  );
  return { main, others };
}

function databaseOf(
  { database: main, roles }: Installation,
  { name, placements, known }: Pick<ExaminedDatabase, 'name' | 'placements' | 'known'>,
): ExaminedDatabase {
  const { app, account, serve, control, migrate } = roles;
  const isMain = name === main;
  const first = placements[0]?.place;
  const workers = placements.flatMap(({ place }) => [place.role, loginOf(place, serve)]);
  const serving = distinct([...workers, ...(isMain ? [serve, control, app, account] : [])]);
  const logins = known.filter(({ active }) => active).map(({ place }) => loginOf(place, serve));
  return {
    ...{ name, isMain, placements, known, serving },
    dedicated: first && isOwn(first) ? first : null,
    app: isMain ? app : (first?.role ?? app),
    setter: serving.includes(serve) ? serve : null,
    ours: distinct([...serving, serve, control, app, account, migrate, ...logins]),
    schemas: distinct([
      ...(isMain ? [schemas.kernel, schemas.control] : [schemas.kernel]),
      ...placements.map(({ place }) => place.schema),
    ]),
  };
}

/** The login whose sessions work in a placement: the common one, or the tenant's own. */
export function loginOf(place: Placement, serve: string): string {
  return isOwn(place) ? place.role : serve;
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
