/** The policies of tenants' tables: the one that is meant, as it is meant, and no other. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';
import { isTrail, nameOf, type TenantTable, whereIs } from './tables.ts';

type Policy = {
  oid: number;
  name: string;
  permissive: boolean;
  command: string;
  roles: string;
  using: string | null;
  check: string | null;
  /** Whether it holds for a role that works for one tenant. */
  reaches: boolean;
};

/** What a policy has to be, as it is written and as the catalog shows it. */
type Rule = { to: string | null; using: string; shown: string };

const ownRows = '(tenant_id = ( SELECT kernel.tenant() AS tenant))';

export async function examinePolicies(
  sql: Sql,
  tables: TenantTable[],
  examined: Examined,
): Promise<Finding[]> {
  const byTable = new Map<number, Policy[]>(tables.map(({ oid }) => [oid, []]));
  for (const policy of await readPolicies(sql, tables, examined)) {
    byTable.get(policy.oid)?.push(policy);
  }
  return tables.flatMap((table) => {
    const policies = byTable.get(table.oid) ?? [];
    return [
      ...examineRule(table, policies, examined),
      ...examineEveryRow(table, policies, examined),
      ...extras(table, policies, examined),
    ];
  });
}

function readPolicies(sql: Sql, tables: TenantTable[], examined: Examined): Promise<Policy[]> {
  const { app, control } = examined;
  const readers = control ? [app, control.account] : [app];
  return sql<Policy>`
    select polrelid::int8 as oid, polname as name, polpermissive as permissive,
      polcmd::text as command, pg_get_expr(polqual, polrelid) as using,
      pg_get_expr(polwithcheck, polrelid) as check,
      case
        when polroles = '{0}' then 'public'
        else (
          select string_agg(rolname, ', ' order by rolname)
          from pg_roles
          where oid = any (polroles)
        )
      end as roles,
      polroles = '{0}' or exists (
        select
        from pg_roles
        where oid = any (polroles)
          and rolname in (select jsonb_array_elements_text(${JSON.stringify(readers)}::text::jsonb))
      ) as reaches
    from pg_policy
    where polrelid in (select jsonb_array_elements_text(${oidsOf(tables)}::text::jsonb)::oid)
    order by polname`;
}

function examineRule(table: TenantTable, policies: Policy[], examined: Examined): Finding[] {
  const { database } = examined;
  const rule = ruleFor(table, examined);
  const policy = policies.find(({ name }) => name === 'tenant_rows');
  const name = nameOf(table);
  const to = rule.to === null ? '' : ` to ${quoted(rule.to)}`;
  const create = `create policy tenant_rows on ${name}${to} using (${rule.using})`;
  const where = `policy tenant_rows of ${whereIs(table, database)}`;
  if (!policy) {
    const what = 'There is none, so nobody is told which rows are theirs';
    return [finding('policy_missing', { database, where, what, mend: create })];
  }
  if (isAsMeant(policy, rule)) return [];
  const what = `It is for ${policy.roles} and says ${policy.using ?? policy.check}`;
  const mend = `drop policy tenant_rows on ${name}; ${create}`;
  return [finding('policy_changed', { database, where, what, mend })];
}

/** Of the control schema's tables the operator sees all rows; hidden ones would be missed by nobody. */
function examineEveryRow(table: TenantTable, policies: Policy[], examined: Examined): Finding[] {
  const { control, database } = examined;
  if (table.schema !== schemas.control || !control) return [];
  const policy = policies.find(({ name }) => name === 'every_row');
  if (policy && isAsMeant(policy, { to: control.control, using: 'true', shown: 'true' })) return [];
  const name = nameOf(table);
  const where = `policy every_row of ${whereIs(table, database)}`;
  const create = `create policy every_row on ${name} to ${quoted(control.control)} using (true)`;
  if (!policy) {
    const what = 'There is none, and the operator does not see what there is';
    return [finding('policy_missing', { database, where, what, mend: create })];
  }
  const what = `It is for ${policy.roles} and says ${policy.using ?? policy.check}`;
  const mend = `drop policy every_row on ${name}; ${create}`;
  return [finding('policy_changed', { database, where, what, mend })];
}

function ruleFor(table: TenantTable, { control }: Examined): Rule {
  const using = 'tenant_id = (select kernel.tenant())';
  if (table.schema !== schemas.control || !control) return { to: null, using, shown: ownRows };
  if (!isTrail(table)) return { to: control.account, using, shown: ownRows };
  return {
    to: control.account,
    using: `${using} and audience = 'tenant'`,
    shown: `(${ownRows} AND (audience = 'tenant'::text))`,
  };
}

function isAsMeant({ permissive, command, roles, using, check }: Policy, rule: Rule): boolean {
  const meant = using === rule.shown && (check === null || check === rule.shown);
  return permissive && command === '*' && roles === (rule.to ?? 'public') && meant;
}

/** Permissive policies add up: one more shows more. A restrictive one hides events of the trail. */
function extras(table: TenantTable, policies: Policy[], { database }: Examined): Finding[] {
  const named = table.schema === schemas.control ? ['tenant_rows', 'every_row'] : ['tenant_rows'];
  return policies
    .filter(({ name, permissive, reaches }) => {
      if (named.includes(name)) return false;
      return permissive ? reaches : isTrail(table);
    })
    .map(({ name, permissive, roles, using, check }) =>
      finding('policy_extra', {
        database,
        where: `policy ${name} of ${whereIs(table, database)}`,
        what: `It ${permissive ? 'shows' : 'leaves'} ${roles} ${permissive ? 'more' : 'fewer'} rows: ${using ?? check}`,
        mend: `drop policy ${quoted(name)} on ${nameOf(table)}`,
      }),
    );
}

/** For a list of tables in a query. */
export function oidsOf(tables: TenantTable[]): string {
  return JSON.stringify(tables.map(({ oid }) => oid));
}
