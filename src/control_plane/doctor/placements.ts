/** Lists the placements of all tenants, and their databases, for the doctor. */

import type { IsolationModes } from '../../isolation/modes.ts';
import type { Sql } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import { type Installation, schemas } from '../../postgres/installation.ts';
import { type DedicatedPlacement, isDedicated, type Placement } from '../../postgres/placement.ts';
import { captureOf } from '../moves/change_capture.ts';

/** A placement, its tenants in words, and the version that its tables should have. */
export type ExaminedPlacement = {
  placement: Placement;
  whose: string;
  version: number;
  /** False while its tenant is being created or deleted, and for the other placement of a move. */
  active: boolean;
  /** The schema that records the changes of the tenant while it moves. */
  capture: string | null;
};

/** One of our databases, and the roles that are used there. */
export type ExaminedDatabase = {
  name: string;
  /** The one with the control schema. */
  isMain: boolean;
  /** The active placements in this database. */
  placements: readonly ExaminedPlacement[];
  /** In the main database all placements, because the whole server is examined from there. */
  known: readonly ExaminedPlacement[];
  /** The placement, if the database belongs to one tenant. */
  dedicated: DedicatedPlacement | null;
  /** The role that statements on tenants' tables run as. */
  app: string;
  /** The login that sets contexts; null if sessions have theirs from their start. */
  contextLogin: string | null;
  /** Roles of ours that serve here. */
  serving: readonly string[];
  /** Our roles except the owner. Logins of other databases are known in the main database only. */
  ours: readonly string[];
  /** Our schemas, without those of tenants that are being created or deleted. */
  schemas: readonly string[];
};

type Row = {
  id: TenantId;
  slug: string;
  isolation: string;
  generation: number;
  version: number;
  active: boolean;
  moving: boolean;
};

/**
 * Returns one placement for each tenant, both for one that moves, and the common placements of modes that have
 * them.
 *
 * @param newest version that the code knows.
 */
export async function readPlacements(
  sql: Sql,
  modes: IsolationModes,
  newest: number,
): Promise<ExaminedPlacement[]> {
  const common = modes.commonPlacements();
  const rows = await sql<Row>`
    with move as (
      select tenant_id, generation,
        case state when 'switched' then origin else destination end as other
      from control.moves
      where state in ('copying', 'catching_up', 'switched')
    )
    select id, slug, isolation, tenants.generation, schema_version as version,
      status in ('active', 'suspended') as active, move.other is not null as moving
    from control.tenants
      left join move on tenant_id = id
    where isolation <> all (${common.map(({ mode }) => mode)})
    union all
    select id, slug, other, move.generation, schema_version, false, true
    from control.tenants
      join move on tenant_id = id
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

/** Returns the main database, and each other one with an active placement. */
export function databasesOf(
  installation: Installation,
  all: readonly ExaminedPlacement[],
): { main: ExaminedDatabase; others: ExaminedDatabase[] } {
  const byName = new Map<string, ExaminedPlacement[]>();
  for (const examined of all) {
    const { database } = examined.placement;
    if (!examined.active) continue;
    const known = byName.get(database);
    if (known) known.push(examined);
    else byName.set(database, [examined]);
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
  const first = placements[0]?.placement;
  const workers = placements.flatMap(({ placement: { role, login } }) => [role, login]);
  const serving = distinct([...workers, ...(isMain ? [serve, control, app, account] : [])]);
  const logins = known.filter(({ active }) => active).map(({ placement }) => placement.login);
  return {
    ...{ name, isMain, placements, known, serving },
    dedicated: first && isDedicated(first) ? first : null,
    app: isMain ? app : (first?.role ?? app),
    contextLogin: serving.includes(serve) ? serve : null,
    ours: distinct([...serving, serve, control, app, account, migrate, ...logins]),
    schemas: distinct([
      ...(isMain ? [schemas.kernel, schemas.control] : [schemas.kernel]),
      ...placements.map(({ placement }) => placement.schema),
    ]),
  };
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
