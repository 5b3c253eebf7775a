/** The first row of a new tenant, and the deletion of all rows of one. */
import type { Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { paced, type Rest } from '../pace.ts';
import { deleteRows } from './copy_rows.ts';
import { beginAsOwner, pastFence } from './owner_context.ts';
import { assertAllVisible, readTableGroups, type TableGroup } from './stored_tables.ts';
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

/** The tables of a placement, as work that copies or deletes their rows needs them. */
export function tablesIn(
  { migrators, installation }: Fleet,
  placement: Placement,
): Promise<TableGroup[]> {
  return migrators.exclusive(installation.migrationUrlOf(placement), fleetWork, (connection) =>
    readTableGroups((text, ...values) => connection.plain(text, ...values), placement.schema),
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
  const url = installation.migrationUrlOf(placement);
  return migrators.exclusive(url, fleetWork, async (connection) => {
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

/** How often the rows of a table are deleted: a few requests may still be adding some. */
const passes = 10;
const pageRows = 100;

type Erased = {
  placement: Placement;
  tenant: TenantId;
  /** SQL that fails in the main database when this process may not go on. */
  guard?: string | undefined;
  onErased?: ((rows: number) => void) | undefined;
};

/** Deletes a tenant's rows from every table of a placement: page by page, each in a transaction of its own. */
export async function eraseRows(
  fleet: Fleet,
  { placement, tenant, guard, onErased = () => {} }: Erased,
): Promise<void> {
  const { migrators, installation } = fleet;
  // A trigger of a migration would run here, and must not get the administrator's rights.
  const url = installation.migrationUrlOf(placement);
  const groups = await tablesIn(fleet, placement);
  assertAllVisible(groups);
  await migrators.exclusive(url, fleetWork, async (connection) => {
    const owned = { placement: pastFence(placement), tenant };
    const isGuarded = guard !== undefined && placement.database === installation.database;
    const begin = beginAsOwner(fleet, owned, connection) + (isGuarded ? `; ${guard}` : '');
    const sql: Sql = (text, ...values) =>
      connection.transaction(begin, (inContext) => inContext(text, ...values));
    const pause = paced(fleet.pace);
    let erased = 0;
    const rest = () => {
      erased += pageRows;
      onErased(erased);
      return pause();
    };
    for (const group of [...groups].reverse()) await eraseGroup(sql, group, rest);
  });
}

/** Again, if a request has added rows behind the pages. @throws {Error} when rows stay. */
async function eraseGroup(sql: Sql, group: TableGroup, rest: Rest): Promise<void> {
  for (let pass = 1; pass <= passes; pass += 1) {
    await deleteRows(sql, [group], { rows: pageRows, rest });
    if (!(await hasRows(sql, group))) return;
  }
  const names = group.tables.map(({ name }) => `"${name}"`).join(', ');
  throw new Error(
    `Cannot delete the rows of ${names}: a policy, a trigger or a rule keeps some, or others are added`,
  );
}

async function hasRows(sql: Sql, { tables }: TableGroup): Promise<boolean> {
  const any = tables.map(({ name }) => `exists (select from ${identifier(name)})`).join(' or ');
  const [row] = await sql<{ any: boolean }>(statementOf(`select ${any} as "any"`));
  return row?.any === true;
}
