/** Languages that serving roles may write blocks and functions in: none. */
import type { Sql } from '../../kernel/ports.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

export async function examineLanguages(
  sql: Sql,
  { database, owner, serving }: Examined,
): Promise<Finding[]> {
  const rows = await sql<{ language: string }>`
    select lanname as language
    from pg_language
    where lanpltrusted and lanname <> 'sql'
      and exists (
        select
        from aclexplode(coalesce(lanacl, acldefault('l', lanowner)))
          left join pg_roles on pg_roles.oid = grantee
        where grantee = 0
          or rolname in (select jsonb_array_elements_text(${JSON.stringify(serving)}::text::jsonb))
      )
    order by 1`;
  const whom = ['public', ...serving.map(quoted)].join(', ');
  return rows.map(({ language }) => {
    const name = quoted(language);
    return finding('plpgsql_allowed', {
      database,
      where: `language ${language} of database ${database}`,
      what: 'An injected DO block may change the password of the login that all tenants share',
      fix: `revoke usage on language ${name} from ${whom};
        grant usage on language ${name} to ${quoted(owner)}`,
    });
  });
}
