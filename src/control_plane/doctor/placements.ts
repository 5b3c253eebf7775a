/** Lists the placements of all tenants, and their databases, for the doctor. */
import type { Sql, TenantRef } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';
import {
  type DatabasePlace,
  type DedicatedPlacement,
  isDedicated,
  type Placement,
} from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { captureOf } from '../moves/change_capture.ts';

/** A placement, its tenants in words, and the version that its tables should have. */
export type ExaminedPlacement = {
  placement: Placement;
  whose: string;
  version: number;
  /** False while its tenant is being created or deleted, and for the other placement of a move. */
  active: boolean;
  /**
   * The schema that records the changes of a tenant that moves. It is also set for one that is imported: there the
   * schema does not exist, and only its name is compared.
   */
  capture: string | null;
};

/** One of our databases, or the one from which another server is examined. */
export type ExaminedDatabase = {
  server: string;
  name: string;
  /** The one with the control schema. */
  isMain: boolean;
  /** The active placements in this database. */
  placements: readonly ExaminedPlacement[];
  /** In the main database all placements of its server, which is examined from there as a whole. */
  known: readonly ExaminedPlacement[];
  /** The placement, if the database belongs to one tenant. */
  dedicated: DedicatedPlacement | null;
};

type Row = TenantRef &
  Pick<ExaminedPlacement, 'version' | 'active'> & { slug: string; moving: boolean };

/**
 * Returns the main database, the database from which each added server is examined, and each other database
 * with an active placement.
 */
export async function readDatabases(
  sql: Sql,
  fleet: Fleet,
): Promise<{ main: ExaminedDatabase; homes: ExaminedDatabase[]; others: ExaminedDatabase[] }> {
  const { installation } = fleet;
  const all = await readPlacements(sql, fleet);
  const on = (server: string) => all.filter(({ placement }) => placement.server === server);
  const others = new Map<string, ExaminedPlacement[]>();
  for (const one of all) {
    const { server, database } = one.placement;
    if (!one.active || isMain(installation, one.placement)) continue;
    const key = `${server} ${database}`;
    const known = others.get(key) ?? [];
    known.push(one);
    others.set(key, known);
  }
  return {
    main: databaseOf(installation, installation.main, on(installation.main.server)),
    homes: installation.addedServers.map((server) =>
      databaseOf(installation, installation.homeOf(server), on(server)),
    ),
    others: [...others.values()].flatMap((known) =>
      known.slice(0, 1).map(({ placement }) => databaseOf(installation, placement, known)),
    ),
  };
}

function isMain({ main }: Installation, { server, database }: DatabasePlace): boolean {
  return server === main.server && database === main.database;
}

/**
 * Returns the common placements, the own placement of each other tenant, the second placement of each tenant that
 * moves, and one for each tenant that is being created in a common placement.
 */
async function readPlacements(
  sql: Sql,
  { modes, sql: files }: Fleet,
): Promise<ExaminedPlacement[]> {
  const newest = files.tenant.length;
  const common = modes.commonPlacements();
  const rows = await sql<Row>`
    with move as (
      select tenant_id, generation,
        case state when 'switched' then origin else destination end as other,
        case state when 'switched' then origin_server else destination_server end as other_server
      from control.moves
      where state in ('copying', 'catching_up', 'switched')
    )
    select id, slug, isolation, server, tenants.generation, schema_version as version,
      status in ('active', 'suspended') as active, move.other is not null as moving
    from control.tenants
      left join move on tenant_id = id
    where isolation <> all (${common.map(({ mode }) => mode)})
    union all
    select id, slug, other, other_server, move.generation, schema_version, false, true
    from control.tenants
      join move on tenant_id = id
    union all
    select id, slug, isolation, server, generation, schema_version, false, true
    from control.tenants
    where isolation = any (${common.map(({ mode }) => mode)}) and status = 'provisioning'
    order by slug`;
  return [
    ...common.map(({ mode, placement }) => {
      const whose = `all tenants of ${mode} mode`;
      return { placement, whose, version: newest, active: true, capture: null };
    }),
    ...rows.map(({ slug, version, active, moving, ...tenant }) => ({
      placement: modes.placementOf(tenant),
      whose: `tenant ${slug}`,
      version: Math.min(version, newest),
      active,
      capture: moving ? captureOf(tenant.id) : null,
    })),
  ];
}

function databaseOf(
  installation: Installation,
  { server, database: name }: DatabasePlace,
  known: readonly ExaminedPlacement[],
): ExaminedDatabase {
  const placements = known.filter((one) => one.active && one.placement.database === name);
  const first = placements[0]?.placement;
  const dedicated = first && isDedicated(first) ? first : null;
  const main = isMain(installation, { server, database: name });
  return { server, name, isMain: main, placements, known, dedicated };
}
