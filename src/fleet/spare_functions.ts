/**
 * Functions of Postgres that everybody may call and nobody of ours needs: large objects belong to no
 * tenant, locks of a session outlive the envelope that an injected statement took them in, and what
 * is announced reaches every process.
 */
import type { Sql } from '../kernel/ports.ts';
import type { Lane } from '../postgres/lane.ts';

export type Family = 'large objects' | 'advisory locks' | 'announcements';

/** The functions of a family that the roles may call, as they are named in a statement. */
export type SpareFunctions = { family: Family; functions: string; ownedByUs: boolean };

/** Those that everybody, or one of the roles, may call in this database. */
export function readSpareFunctions(sql: Sql, roles: readonly string[]): Promise<SpareFunctions[]> {
  return sql<SpareFunctions>`
    select
      case
        when proname ~ 'advisory' then 'advisory locks'
        when proname = 'pg_notify' then 'announcements'
        else 'large objects'
      end as family,
      string_agg(pg_proc.oid::regprocedure::text, ', ' order by proname, pg_proc.oid) as functions,
      bool_and(pg_has_role(session_user, proowner, 'member')) as "ownedByUs"
    from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace
      and (
        proname ~ '^pg_(try_)?advisory_'
        or proname in ('loread', 'lowrite', 'pg_notify')
        or starts_with(proname, 'lo_')
      )
      and exists (
        select
        from aclexplode(coalesce(proacl, acldefault('f', proowner)))
          left join pg_roles on pg_roles.oid = grantee
        where privilege_type = 'EXECUTE' and (
          grantee = 0
          or rolname in (select jsonb_array_elements_text(${JSON.stringify(roles)}::text::jsonb))
        )
      )
    group by 1
    order by 1`;
}

/** The statement that takes them away. Fleet work, and the trigger that announces, need two of them. */
export function withdrawing(
  { family, functions }: SpareFunctions,
  { roles, owner }: { roles: readonly string[]; owner: string },
): string {
  const whom = ['public', ...roles.map((role) => `"${role}"`)].join(', ');
  const revoke = `revoke execute on function ${functions} from ${whom}`;
  if (family === 'large objects') return revoke;
  return `${revoke}; grant execute on function ${functions} to "${owner}"`;
}

/** Takes them from everybody, where the administrator may; the doctor names what is left. */
export async function withdrawSpareFunctions(lane: Lane, owner: string): Promise<void> {
  const found = await readSpareFunctions((text, ...values) => lane.plain(text, ...values), []);
  for (const spare of found.filter(({ ownedByUs }) => ownedByUs)) {
    await lane.script(withdrawing(spare, { roles: [], owner }));
  }
}
