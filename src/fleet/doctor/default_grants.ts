/** Rights that the owner's next table would give away at once: none. */
import type { Sql } from '../../kernel/ports.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

type Default = { kind: 'tables' | 'sequences'; schema: string | null; grantee: string };

export async function examineDefaultGrants(
  sql: Sql,
  { database, owner, ours }: Examined,
): Promise<Finding[]> {
  const rows = await sql<Default>`
    select distinct case defaclobjtype when 'r' then 'tables' else 'sequences' end as kind,
      nspname as schema, coalesce(rolname, 'public') as grantee
    from pg_default_acl
      cross join lateral aclexplode(defaclacl)
      left join pg_namespace on pg_namespace.oid = defaclnamespace
      left join pg_roles on pg_roles.oid = grantee
    where defaclobjtype in ('r', 'S') and pg_get_userbyid(defaclrole) = ${owner}
      and (
        grantee = 0
        or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
      )
    order by 1, 2, 3`;
  return rows.map(({ kind, schema, grantee }) => {
    const place = schema === null ? '' : ` in schema ${quoted(schema)}`;
    const whom = grantee === 'public' ? grantee : quoted(grantee);
    return finding('default_grant', {
      database,
      where: `default rights on ${kind} of database ${database}`,
      what: `${grantee} gets rights on the next that the owner makes`,
      mend: `alter default privileges for role ${quoted(owner)}${place}
        revoke all on ${kind} from ${whom}`,
    });
  });
}
