/** What a tenant's own tables begin and end with. */
import type { Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Placement } from '../../postgres/placement.ts';
import { seal } from '../../postgres/seal.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { erasingOrder, readTenantTables, type TenantTable } from './tenant_tables.ts';

/** The seed's sample pet. Its id is the tenant's own, so that a second try adds no second pet. */
export async function addSamplePet(isolation: Isolation, tenant: TenantRef): Promise<void> {
  await isolation.run(
    tenant,
    (db) => db`
      insert into pets (id, name, species, breed)
      values (${tenant.id}, 'Sample Pet', 'dog', 'Golden Retriever')
      on conflict do nothing`,
  );
}

/** Rows that one statement deletes: other work comes in between. */
const rowsAtOnce = 5_000;

/**
 * Deletes a tenant's rows from every table of a placement. As the owner, for no role that serves may
 * delete; row security holds for the owner too, so no statement names the tenant.
 */
export async function eraseRows(
  { migrators, installation }: Fleet,
  { database, schema, sealKey }: Placement,
  tenant: TenantId,
): Promise<void> {
  // A migration may have made a trigger: it runs here, and must not become the administrator.
  const target = installation.migrationTarget(database);
  await migrators.exclusive(target, fleetWork, async (connection) => {
    const tables = await readTenantTables(
      (text, ...values) => connection.plain(text, ...values),
      schema,
    );
    const opening = `begin; set local role "${installation.roles.owner}"; set local search_path = "${schema}";
      set local kennel.tenant = '${tenant}.${seal(sealKey, tenant, connection.pid)}'`;
    for (const group of erasingOrder(tables)) {
      await untilNoneIsLeft(connection, opening, erasing(group, tables));
    }
  });
}

/**
 * Keys are checked when a statement is over: the rows of a ring go in a single one, however many they
 * are. The number of a row is its place, and says nothing among the parts of a table.
 */
function erasing(group: string[], tables: readonly TenantTable[]): string {
  const own = tables.filter(({ name }) => group.includes(name));
  const alone = own.length === 1 && own.every(inParts);
  const deletes = own.map(({ name }, at) => {
    const some = alone
      ? ` where ctid = any (array(select ctid from "${name}" limit ${rowsAtOnce}))`
      : '';
    return `gone_${at} as (delete from "${name}"${some} returning 1)`;
  });
  const counts = own.map((_, at) => `(select count(*) from gone_${at})`);
  return `with ${deletes.join(', ')} select (${counts.join(' + ')})::int as count`;
}

function inParts({ name, partitioned, refersTo }: TenantTable): boolean {
  return !partitioned && !refersTo.includes(name);
}

async function untilNoneIsLeft(
  connection: Connection,
  opening: string,
  statement: string,
): Promise<void> {
  const text = Object.assign([statement], { raw: [statement] });
  const eraseSome = async (sql: Sql) => (await sql<{ count: number }>(text))[0]?.count ?? 0;
  while ((await connection.transaction(opening, eraseSome)) > 0);
}
