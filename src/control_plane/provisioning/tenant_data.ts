/** The first row of a new tenant, and the deletion of all rows of one. */
import type { Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { paced } from '../pace.ts';
import { beginAsOwner, pastFence } from './owner_context.ts';
import { deletionOrder, readTenantTables, type TenantTable } from './tenant_tables.ts';

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

/** Rows that one statement deletes, so that other work is not delayed for long. */
const batchSize = 500;

/** Deletes a tenant's rows from every table of a placement. */
export async function eraseRows(
  fleet: Fleet,
  placement: Placement,
  tenant: TenantId,
): Promise<void> {
  const { migrators, installation } = fleet;
  const { schema } = placement;
  // A trigger of a migration would run here, and must not get the administrator's rights.
  const target = installation.migrationTarget(placement);
  await migrators.exclusive(target, fleetWork, async (connection) => {
    const tables = await readTenantTables(
      (text, ...values) => connection.plain(text, ...values),
      schema,
    );
    const owned = { placement: pastFence(placement), tenant };
    const begin = beginAsOwner(fleet, owned, connection);
    const rest = paced(fleet.pace);
    for (const group of deletionOrder(tables)) {
      const statement = statementOf(deleteStatement(group, tables));
      while ((await connection.transaction(begin, (sql) => countOf(sql, statement))) > 0) {
        await rest();
      }
    }
  });
}

/**
 * One statement that deletes from the tables of a group, and counts the rows. Tables whose foreign keys
 * form a cycle are emptied by a single statement, because Postgres checks those keys at its end. A
 * partitioned table gets no batches, because `ctid` is not unique across partitions.
 */
function deleteStatement(group: string[], tables: readonly TenantTable[]): string {
  const members = tables.filter(({ name }) => group.includes(name));
  const inBatches = members.length === 1 && members.every(canBatch);
  const deletes = members.map(({ name }, at) => {
    const some = inBatches
      ? ` where ctid = any (array(select ctid from "${name}" limit ${batchSize}))`
      : '';
    return `deleted_${at} as (delete from "${name}"${some} returning 1)`;
  });
  const counts = members.map((_, at) => `(select count(*) from deleted_${at})`);
  return `with ${deletes.join(', ')} select (${counts.join(' + ')})::int as count`;
}

function canBatch({ name, partitioned, refersTo }: TenantTable): boolean {
  return !partitioned && !refersTo.includes(name);
}

async function countOf(sql: Sql, statement: TemplateStringsArray): Promise<number> {
  const [row] = await sql<{ count: number }>(statement);
  return row?.count ?? 0;
}
