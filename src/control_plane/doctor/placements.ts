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

export function mainDatabase(
  { database, roles }: Installation,
  all: readonly ExaminedPlacement[],
): ExaminedDatabase {
  const { app, account, serve, control, migrate } = roles;
  const active = all.filter((placement) => placement.active);
  const placements = active.filter(({ place }) => place.database === database);
  const serving = [serve, control, app, account];
  const logins = active.map(({ place }) => loginOf(place, serve));
  return {
    name: database,
    isMain: true,
    placements,
    known: all,
    dedicated: null,
    app,
    setter: serve,
    serving,
    ours: distinct([...serving, migrate, ...logins]),
    schemas: [schemas.kernel, schemas.control, ...schemasOf(placements)],
  };
}

/** Databases beside the main one that an active tenant is in. */
export function otherDatabases(
  { database, roles }: Installation,
  all: readonly ExaminedPlacement[],
): ExaminedDatabase[] {
  const byName = new Map<string, ExaminedPlacement[]>();
  for (const placement of all) {
    const { database: name } = placement.place;
    if (!placement.active || name === database) continue;
    const known = byName.get(name);
    if (known) known.push(placement);
    else byName.set(name, [placement]);
  }
  return [...byName].map(([name, placements]) => {
    const [first] = placements;
    const { serve, control, app, account, migrate } = roles;
    const workers = placements.flatMap(({ place }) => [place.role, loginOf(place, serve)]);
    const serving = distinct(workers);
    return {
      name,
      isMain: false,
      placements,
      known: placements,
      dedicated: first && isOwn(first.place) ? first.place : null,
      app: first?.place.role ?? app,
      setter: serving.includes(serve) ? serve : null,
      serving,
      ours: distinct([...serving, serve, control, app, account, migrate]),
      schemas: [schemas.kernel, ...schemasOf(placements)],
    };
  });
}

/** The login whose sessions work in a placement: the common one, or the tenant's own. */
export function loginOf(place: Placement, serve: string): string {
  return isOwn(place) ? place.role : serve;
}

function schemasOf(placements: readonly ExaminedPlacement[]): string[] {
  return distinct(placements.map(({ place }) => place.schema));
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
