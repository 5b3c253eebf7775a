/** Where the tenants stand: which schema version each has, and which migration failed. */
import type { Db } from '../kernel/ports.ts';
import type { IsolationMode, Slug, TenantId } from '../kernel/tenant.ts';
import { schemas } from '../postgres/installation.ts';
import { type Fleet, fleetWork } from './fleet.ts';
import type { LedgerRow } from './ledger.ts';

export type FleetStatus = {
  newest: number;
  current: number;
  behind: { name: string; isolation: IsolationMode; version: number; error: string | null }[];
};

type Standing = {
  id: TenantId;
  slug: Slug;
  isolation: IsolationMode;
  version: number;
  error: string | null;
};

/** Where every tenant stands. */
export async function migrationStatus(fleet: Fleet): Promise<FleetStatus> {
  const newest = fleet.sql.tenant.length;
  const { tenants } = await readStandings(fleet);
  const behind = tenants
    .filter(({ version, error }) => version < newest || error !== null)
    .map(({ slug: name, isolation, version, error }) => ({ name, isolation, version, error }));
  return { newest, current: tenants.length - behind.length, behind };
}

/** How many tenants are behind, and how many of them because a migration failed. */
export async function countBehind(control: Db, newest: number) {
  const [row] = await control<{ behind: number; failed: number }>`
    select count(*) as behind, count(migration_error) as failed
    from control.tenants
    where schema_version < ${newest} and status in ('active', 'suspended')`;
  return row ?? { behind: 0, failed: 0 };
}

export type TenantCount = { isolation: IsolationMode; status: string; tenants: number };

/** How many tenants there are of each mode and status. */
export function countTenants(control: Db): Promise<TenantCount[]> {
  return control<TenantCount>`
    select isolation, status, count(*) as tenants
    from control.tenants
    group by isolation, status`;
}

/** All that a run must know, in one query. */
export async function readStandings(fleet: Fleet) {
  const { admin, installation } = fleet;
  const target = installation.adminTarget(installation.database);
  const [row] = await admin.use(target, fleetWork, (lane) =>
    lane.transaction(
      `begin read only; set local role "${installation.roles.owner}";
       set local search_path = "${schemas.shared}"`,
      (sql) => sql<{ tenants: Standing[]; ledger: LedgerRow[] }>`
        select
          (
            select coalesce(jsonb_agg(tenant order by tenant.slug), '[]')
            from (
              select id, slug, isolation, schema_version as version, migration_error as error
              from control.tenants
              where status in ('active', 'suspended')
            ) as tenant
          ) as tenants,
          (
            select coalesce(jsonb_agg(row order by row.version), '[]')
            from (select version, checksum from migrations) as row
          ) as ledger`,
    ),
  );
  return { tenants: row?.tenants ?? [], sharedLedger: row?.ledger ?? [] };
}
