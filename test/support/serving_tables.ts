/**
 * The contexts that an injected statement can run in, and the tables that its role can read there.
 */
import { isolationModes } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import type { TenantId } from '../../src/kernel/tenant.ts';
import type { Installation } from '../../src/postgres/installation.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { contextOf } from './envelopes.ts';
import { lookInto } from './sql.ts';
import type { TenantFixture } from './tenant_fixture.ts';

export type ServingContext = { name: string; tenant: TenantRef; placement: Placement };

/** The placement of a tenant of each mode, and its account. */
export async function servingContexts(fixture: TenantFixture): Promise<ServingContext[]> {
  const all: ServingContext[] = [];
  for (const mode of isolationModes) {
    const tenant = await fixture.tenant(mode);
    all.push({ name: `${mode} mode`, tenant, placement: fixture.placementOf(tenant) });
    const { account } = fixture.services.fleet.installation;
    if (mode === 'database') all.push({ name: "a tenant's account", tenant, placement: account });
  }
  return all;
}

/** Every table of which the role may read or write a column. */
export async function visibleTables(
  fixture: TenantFixture,
  { placement }: ServingContext,
): Promise<string[]> {
  const rows = await fixture.asSuperuser(
    placement,
    `select format('%I.%I', nspname, relname) as name
     from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where relkind in ('r', 'p') and pg_class.oid >= 16384
       and has_schema_privilege('${placement.role}', nspname, 'usage')
       and has_any_column_privilege('${placement.role}', pg_class.oid, 'select, insert, update')
     order by 1`,
  );
  return rows.map(({ name }) => String(name));
}

/** How many rows the planner expects a query of the tenant to have. */
export async function estimate(
  installation: Installation,
  { tenant, placement }: { tenant: { id: TenantId }; placement: Placement },
  query: string,
): Promise<number> {
  const url = installation.adminUrlOf(placement);
  return lookInto(url, (sql) =>
    sql.begin(async (own) => {
      const [backend] = await own<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await own.unsafe(
        `set local kennel.tenant = '${contextOf(placement, tenant.id, backend?.pid ?? 0)}';
         set local search_path = "${placement.schema}";
         set local role "${placement.role}"`,
      );
      const [row] = await own.unsafe(`explain (format json) ${query}`);
      return Number(row?.['QUERY PLAN'][0].Plan['Plan Rows']);
    }),
  );
}
