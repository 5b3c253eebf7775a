/** Rights on our tables: what the files in sql/ give, and nothing beyond. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import { type Examined, schemasOf } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

type Grant = {
  schema: string;
  name: string;
  kind: 'table' | 'sequence';
  column: string | null;
  grantee: string;
  privilege: string;
};

const everything = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/** What an event brings along; number, time, place and hash are given to it. */
const toldOfEvents = ['id', 'event', 'actor', 'tenant', 'request_id', 'audience', 'details'];

/** What the role of the directory and the operator may; on other tables of control, all four. */
const controlMay: Readonly<Record<string, string[]>> = {
  secrets: [],
  migrations: [],
  tenant_migrations: ['SELECT', 'INSERT'],
  plans: ['SELECT', 'INSERT', 'UPDATE'],
  audit_events: ['SELECT', 'INSERT tenant_id', ...toldOfEvents.map((name) => `INSERT ${name}`)],
  audit_chains: ['SELECT'],
  idempotency_keys: ['SELECT', 'DELETE'],
};

/** What the role of one tenant's account may. A key's digest is not among it. */
const accountMay: Readonly<Record<string, string[]>> = {
  users: ['SELECT', 'INSERT'],
  api_keys: [
    'INSERT',
    'SELECT id',
    'SELECT user_id',
    'SELECT created_at',
    'SELECT revoked_at',
    'SELECT tenant_id',
    'UPDATE revoked_at',
  ],
  settings: everything,
  audit_events: [
    ...['seq', 'time', 'tenant_id', ...toldOfEvents].map((name) => `SELECT ${name}`),
    ...toldOfEvents.map((name) => `INSERT ${name}`),
  ],
  usage_days: ['SELECT'],
  idempotency_keys: [
    'SELECT',
    ...['key_digest', 'fingerprint', 'made_id', 'claimed_until'].map((name) => `INSERT ${name}`),
    ...['fingerprint', 'made_id', 'attempts', 'claimed_until', 'answer', 'created_at'].map(
      (name) => `UPDATE ${name}`,
    ),
  ],
};

/** Tables that nobody but their owner may read, and rights that nobody but the owner may have. */
const nobodyMay: Readonly<Record<string, string[] | null>> = {
  'control.secrets': null,
  'kernel.seal_keys': null,
  'control.audit_events': ['UPDATE', 'DELETE', 'TRUNCATE'],
  'control.audit_chains': ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'],
};

export async function examineGrants(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const excessive = (await readGrants(sql, examined)).filter((grant) => !isMeant(grant, examined));
  return gathered(excessive).map(({ grant, privileges }) => {
    const { schema, name, kind, grantee } = grant;
    const whom = grantee === 'public' ? 'public' : quoted(grantee);
    const list = privileges.join(', ').toLowerCase();
    return finding('grant_excessive', {
      database,
      where: `${kind} ${schema}.${name} of database ${database}`,
      what: `${grantee} may do more than handlers do: ${list}`,
      mend: `revoke ${list} on ${kind} ${quoted(schema)}.${quoted(name)} from ${whom}`,
    });
  });
}

/** Without the owner's own rights, and without those that each tenant's tables give to their role. */
function readGrants(sql: Sql, examined: Examined): Promise<Grant[]> {
  return sql<Grant>`
    with acl as (
      select oid as relation, null::name as attname, relacl as entries
      from pg_class
      where relacl is not null
      union all
      select attrelid, attname, attacl
      from pg_attribute
      where attacl is not null
    )
    select nspname as schema, relname as name, attname as column,
      case relkind when 'S' then 'sequence' else 'table' end as kind,
      coalesce(rolname, 'public') as grantee, privilege_type as privilege
    from acl
      join pg_class on pg_class.oid = relation
      join pg_namespace on pg_namespace.oid = relnamespace
      cross join lateral aclexplode(entries)
      left join pg_roles on pg_roles.oid = grantee
    where relkind in ('r', 'p', 'S') and grantee <> relowner
      and nspname in (
        select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
      )
      and not (
        attname is null and relname <> 'migrations' and relkind <> 'S'
        and rolname is not distinct from ${examined.app}
        and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        and nspname in (
          select jsonb_array_elements_text(${JSON.stringify(examined.places)}::text::jsonb)
        )
      )
    order by 1, 2, 5, 6, 3`;
}

function isMeant({ schema, name, kind, column, grantee, privilege }: Grant, examined: Examined) {
  const { control, ours } = examined;
  const table = `${schema}.${name}`;
  if (table in nobodyMay && (nobodyMay[table]?.includes(privilege) ?? true)) return false;
  // Row security holds for strangers too; what they may is their administrator's business.
  if (grantee !== 'public' && !ours.includes(grantee)) return true;
  if (schema !== schemas.control || kind === 'sequence') return false;
  const may =
    grantee === control?.control
      ? (controlMay[name] ?? everything)
      : grantee === control?.account
        ? (accountMay[name] ?? [])
        : [];
  return may.includes(privilege) || may.includes(`${privilege} ${column}`);
}

/** One finding for all that one role has too much on one table. */
function gathered(grants: Grant[]): { grant: Grant; privileges: string[] }[] {
  const byTable = new Map<string, { grant: Grant; privileges: string[] }>();
  for (const grant of grants) {
    const key = `${grant.schema}.${grant.name} ${grant.grantee}`;
    const entry = byTable.get(key) ?? { grant, privileges: [] };
    const column = grant.column === null ? '' : ` (${quoted(grant.column)})`;
    entry.privileges.push(`${grant.privilege}${column}`);
    byTable.set(key, entry);
  }
  return [...byTable.values()];
}
