/** The first row of a new tenant, and the deletion of all rows of one. */
import type { Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { paced } from '../pace.ts';
import { deleteRows } from './copy_rows.ts';
import { beginAsOwner, pastFence } from './owner_context.ts';
import { readTableGroups, type TableGroup, tablesOf } from './stored_tables.ts';
import { readTenantTables } from './tenant_tables.ts';

/** Adds the sample pet. Its id is the tenant's id, so that a retry adds no second pet. */
export async function addSamplePet(isolation: Isolation, tenant: TenantRef): Promise<void> {
  await isolation.run(
    tenant,
    (db) => db`
      insert into pets (id, name, species, breed)
      values (${tenant.id}, 'Sample Pet', 'dog', 'Golden Retriever')
      on conflict do nothing`,
  );
}

/** The number of a tenant's rows in each table of its placement. */
export async function countTenantRows(
  fleet: Fleet,
  placement: Placement,
  tenant: TenantId,
): Promise<Record<string, number>> {
  const { migrators, installation } = fleet;
  const { schema } = placement;
  const target = installation.migrationTarget(placement);
  return migrators.exclusive(target, fleetWork, async (connection) => {
    const plain: Sql = (text, ...values) => connection.plain(text, ...values);
    const tables = await readTenantTables(plain, schema);
    const begin = beginAsOwner(fleet, { placement, tenant, mode: 'read only' }, connection);
    return connection.transaction(begin, async (sql) => {
      const counts: Record<string, number> = {};
      for (const { name } of tables) {
        const count = statementOf(`select count(*) as count from ${identifier(name)}`);
        counts[name] = (await sql<{ count: number }>(count))[0]?.count ?? 0;
      }
      return counts;
    });
  });
}

/** Deletes a tenant's rows from every table of a placement, each page of them in a transaction of its own. */
export async function eraseRows(
  fleet: Fleet,
  placement: Placement,
  tenant: TenantId,
): Promise<void> {
  const { migrators, installation } = fleet;
  // A trigger of a migration would run here, and must not get the administrator's rights.
  const target = installation.migrationTarget(placement);
  await migrators.exclusive(target, fleetWork, async (connection) => {
    const plain: Sql = (text, ...values) => connection.plain(text, ...values);
    const groups = await readTableGroups(plain, placement.schema);
    const owned = { placement: pastFence(placement), tenant };
    const begin = beginAsOwner(fleet, owned, connection);
    const sql: Sql = (text, ...values) =>
      connection.transaction(begin, (inContext) => inContext(text, ...values));
    const rest = paced(fleet.pace);
    do {
      await deleteRows(sql, groups, rest);
      // A request may have added rows behind the pages.
    } while (await hasRows(sql, groups));
  });
}

async function hasRows(sql: Sql, groups: readonly TableGroup[]): Promise<boolean> {
  const any = tablesOf(groups).map(({ name }) => ` or exists (select from ${identifier(name)})`);
  const [row] = await sql<{ any: boolean }>(statementOf(`select false${any.join('')} as "any"`));
  return row?.any === true;
}
