/** The rights that the administrator of a server needs, who is often no superuser on a managed Postgres. */
import type { Connection } from '../../postgres/connection.ts';

/**
 * Returns the missing rights, in words; none for a superuser.
 *
 * @param roles Kennel's: since Postgres 16 only a login with the admin option on a role may alter it.
 */
export async function missingRights(
  connection: Connection,
  roles: readonly string[] = [],
): Promise<string[]> {
  const missing = await connection.plain<{ right: string }>`
    select name as right
    from pg_roles, lateral (values ('createrole', rolcreaterole), ('createdb', rolcreatedb))
      as attribute (name, is_there)
    where rolname = current_user and not rolsuper and not is_there
    union all
    select 'the admin option on Kennel''s roles, which another login has created'
    where current_setting('server_version_num')::int >= 160000
      and exists (
        select from pg_roles
        where rolname = any (${roles}) and not pg_has_role(oid, 'usage with admin option')
      )`;
  return missing.map(({ right }) => right);
}
