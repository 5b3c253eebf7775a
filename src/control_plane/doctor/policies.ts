/** The policies of tenants' tables: the one that is meant, as it is meant, and no other that adds to it. */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, finding, quoted } from './finding.ts';
import { nameOf, oidsOf, type TenantTable, whereIs } from './tables.ts';

type Policy = {
  oid: number;
  name: string;
  permissive: boolean;
  isMeant: boolean;
  shown: string | null;
};

const rule = 'using (tenant_id = (select kernel.tenant()))';

export async function examinePolicies(
  sql: Sql,
  tables: TenantTable[],
  database: string,
): Promise<Finding[]> {
  const all = await readPolicies(sql, tables);
  return tables.flatMap((table) => {
    const policies = all.filter(({ oid }) => oid === table.oid);
    return [...examineRule(table, policies, database), ...extras(table, policies, database)];
  });
}

/** Alone or with more conditions in a restrictive one: those only hide rows. */
function readPolicies(sql: Sql, tables: TenantTable[]): Promise<Policy[]> {
  return sql<Policy>`
    select polrelid::int8 as oid, polname as name, polpermissive as permissive,
      coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as shown,
      polpermissive and polcmd = '*' and polroles = '{0}'
        and pg_get_expr(polqual, polrelid) = '(tenant_id = ( SELECT kernel.tenant() AS tenant))'
        and (polwithcheck is null
          or pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid)) as "isMeant"
    from pg_policy
    where polrelid in (select jsonb_array_elements_text(${oidsOf(tables)}::text::jsonb)::oid)
    order by polname`;
}

function examineRule(table: TenantTable, policies: Policy[], database: string): Finding[] {
  const policy = policies.find(({ name }) => name === 'tenant_rows');
  if (policy?.isMeant) return [];
  const name = nameOf(table);
  const create = `create policy tenant_rows on ${name} ${rule}`;
  const where = `policy tenant_rows of ${whereIs(table, database)}`;
  if (!policy) {
    const what = `There is none, so nobody is told which rows are theirs; it has to be "${rule}"`;
    return [finding('policy_missing', { database, where, what, fix: create })];
  }
  const what = `It says "${policy.shown}", and has to be "${rule}" for all`;
  const fix = `drop policy tenant_rows on ${name}; ${create}`;
  return [finding('policy_changed', { database, where, what, fix })];
}

/** Permissive policies add up: one more shows more. */
function extras(table: TenantTable, policies: Policy[], database: string): Finding[] {
  return policies
    .filter(({ name, permissive }) => permissive && name !== 'tenant_rows')
    .map(({ name, shown }) =>
      finding('policy_extra', {
        database,
        where: `policy ${name} of ${whereIs(table, database)}`,
        what: `It shows more rows: ${shown}`,
        fix: `drop policy ${quoted(name)} on ${nameOf(table)}`,
      }),
    );
}
