/** What our roles are: none may pass by row security or its own limits, own anything, or be another. */
import type { Sql } from '../../kernel/ports.ts';
import type { Installation, Roles } from '../../postgres/installation.ts';
import { limiting, readConnectionLimits } from '../provisioning/connection_limits.ts';
import { type Examined, schemasOf } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

/** Roles belong to the whole server, so the main database is asked alone. */
export async function examineRoles(sql: Sql, examined: Examined, roles: Roles): Promise<Finding[]> {
  return [
    ...(await mightyRoles(sql, examined)),
    ...(await silentLogins(sql, examined, [roles.owner, roles.app, roles.account])),
    ...(await memberships(sql, examined, roles)),
    ...(await strangers(sql, examined)),
  ];
}

async function mightyRoles(sql: Sql, { database, owner, ours }: Examined): Promise<Finding[]> {
  const rows = await sql<{ role: string; powers: string }>`
    select rolname as role,
      concat_ws(', ',
        case when rolsuper then 'superuser' end,
        case when rolbypassrls then 'bypassrls' end,
        case when rolcreatedb then 'createdb' end,
        case when rolcreaterole then 'createrole' end,
        case when rolreplication then 'replication' end) as powers
    from pg_roles
    where rolname in (select jsonb_array_elements_text(${JSON.stringify([owner, ...ours])}::text::jsonb))
      and (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication)
    order by rolname`;
  return rows.map(({ role, powers }) =>
    finding('role_overprivileged', {
      database,
      where: `role ${role}`,
      what: `It may do too much (${powers})`,
      fix: `alter role ${quoted(role)} nosuperuser nobypassrls nocreatedb nocreaterole noreplication`,
    }),
  );
}

async function silentLogins(
  sql: Sql,
  { database }: Examined,
  silent: string[],
): Promise<Finding[]> {
  const rows = await sql<{ role: string }>`
    select rolname as role
    from pg_roles
    where rolcanlogin
      and rolname in (select jsonb_array_elements_text(${JSON.stringify(silent)}::text::jsonb))
    order by rolname`;
  return rows.map(({ role }) =>
    finding('role_may_log_in', {
      database,
      where: `role ${role}`,
      what: 'It may log in, and has all its rights without an envelope',
      fix: `alter role ${quoted(role)} nologin`,
    }),
  );
}

type Membership = {
  role: string;
  held: string;
  grantor: string | null;
  /** It gives more than the right to become `held`. */
  wide: boolean;
};

/** Since Postgres 16 a membership is taken back in the name of who gave it. */
async function memberships(
  sql: Sql,
  { database, owner, ours }: Examined,
  { serve, app, account, migrate }: Roles,
): Promise<Finding[]> {
  const meant: Record<string, string[]> = { [serve]: [app, account], [migrate]: [owner] };
  const rows = await sql<Membership>`
    select member.rolname as role, held.rolname as held,
      admin_option or coalesce(
        (to_jsonb(membership) ->> 'inherit_option')::boolean,
        member.rolinherit
      ) as wide,
      case when current_setting('server_version_num')::int >= 160000 then grantor.rolname end
        as grantor
    from pg_auth_members membership
      join pg_roles member on member.oid = membership.member
      join pg_roles held on held.oid = membership.roleid
      left join pg_roles grantor on grantor.oid = membership.grantor
    where member.rolname in (select jsonb_array_elements_text(${JSON.stringify([owner, ...ours])}::text::jsonb))
    order by 1, 2`;
  return rows
    .map((row) => ({ ...row, meant: meant[row.role]?.includes(row.held) ?? false }))
    .filter(({ meant, wide }) => !meant || wide)
    .map(({ meant, ...row }) =>
      finding('role_member', {
        database,
        where: `role ${row.role}`,
        what: meant
          ? `It has the rights of ${row.held} without becoming it, or may give them on`
          : `It may become ${row.held}`,
        fix: meant ? narrowing(row) : `revoke ${quoted(row.held)} from ${byWhom(row)}`,
      }),
    );
}

/**
 * Who is a member of our roles and none of ours may become them. The administrator may, since Postgres 16
 * by having made them; a superuser may be anybody anyway.
 */
async function strangers(sql: Sql, { database, owner, ours }: Examined): Promise<Finding[]> {
  const all = JSON.stringify([owner, ...ours]);
  const rows = await sql<Membership>`
    select member.rolname as role, held.rolname as held, false as wide,
      case when current_setting('server_version_num')::int >= 160000 then grantor.rolname end
        as grantor
    from pg_auth_members membership
      join pg_roles member on member.oid = membership.member
      join pg_roles held on held.oid = membership.roleid
      left join pg_roles grantor on grantor.oid = membership.grantor
    where held.rolname in (select jsonb_array_elements_text(${all}::text::jsonb))
      and member.rolname not in (select jsonb_array_elements_text(${all}::text::jsonb))
      and not member.rolsuper and member.rolname <> session_user
    order by 1, 2`;
  return rows.map((row) =>
    finding('role_lent', {
      database,
      where: `role ${row.held}`,
      what: `${row.role} is none of ours, and may become it`,
      fix: `revoke ${quoted(row.held)} from ${byWhom(row)}`,
    }),
  );
}

function byWhom({ role, grantor }: Membership): string {
  return `${quoted(role)}${grantor === null ? '' : ` granted by ${quoted(grantor)}`}`;
}

/** Before Postgres 16 the role itself says whether it inherits. */
function narrowing(row: Membership): string {
  const { role, held, grantor } = row;
  const admin = `revoke admin option for ${quoted(held)} from ${byWhom(row)}`;
  const inherit =
    grantor === null
      ? `alter role ${quoted(role)} noinherit`
      : `revoke inherit option for ${quoted(held)} from ${byWhom(row)}`;
  return `${admin}; ${inherit}`;
}

/** Warns of logins that may take connections which the administrator needs to get in. */
export async function examineConnectionLimits(
  sql: Sql,
  { database, ours }: Examined,
  installation: Installation,
): Promise<Finding[]> {
  const { app, account } = installation.roles;
  const logins = ours.filter((role) => role !== app && role !== account);
  const limits = await readConnectionLimits(sql, installation, logins);
  return limits
    .filter(({ limit, current }) => current < 0 || current > limit)
    .map((one) =>
      finding('connections_unlimited', {
        database,
        where: `role ${one.login}`,
        what: `It may have more than ${one.limit} of the server's connections at the same time`,
        fix: limiting(one),
      }),
    );
}

/**
 * The owner of a table may switch its row security off. Databases and what else belongs to the whole
 * server are told in the main database alone.
 */
export async function examineOwners(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database, owner, ours, control } = examined;
  const rows = await sql<{ role: string; type: string; identity: string; common: boolean }>`
    select rolname as role, object.type, object.identity, dbid = 0 as common
    from pg_shdepend
      join pg_roles on pg_roles.oid = refobjid
      cross join lateral pg_identify_object(classid, objid, objsubid) object
    where refclassid = 'pg_authid'::regclass and deptype = 'o'
      and classid <> 'pg_default_acl'::regclass
      and (
        dbid = (select oid from pg_database where datname = current_database())
        or dbid = 0 and ${control !== null}
      )
      and rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
      and not exists (
        select from unnest((pg_identify_object_as_address(classid, objid, objsubid)).object_names[1:1])
          as name
        where name in (select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb))
          and dbid <> 0
      )
    order by 1, 2, 3`;
  return rows.map(({ role, type, identity, common }) =>
    finding('role_owns', {
      database,
      where: common ? `${type} ${identity}` : `${type} ${identity} of database ${database}`,
      what: `It belongs to ${role}, which serves and may own nothing`,
      fix: `alter ${type} ${identity} owner to ${quoted(owner)}`,
    }),
  );
}

/** The same in databases that are none of ours: what is owned there has no name from here. */
export async function examineForeignOwners(
  sql: Sql,
  { owner, ours }: Examined,
  ownDatabases: string[],
): Promise<Finding[]> {
  const rows = await sql<{ role: string; database: string; count: number }>`
    select rolname as role, datname as database, count(*) as count
    from pg_shdepend
      join pg_roles on pg_roles.oid = refobjid
      join pg_database on pg_database.oid = dbid
    where refclassid = 'pg_authid'::regclass and deptype = 'o'
      and rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
      and datname not in (select jsonb_array_elements_text(${JSON.stringify(ownDatabases)}::text::jsonb))
    group by rolname, datname
    order by 1, 2`;
  return rows.map(({ role, database, count }) =>
    finding('role_owns', {
      database,
      where: `database ${database}`,
      what: `${count} of its objects belong to ${role}, which serves and may own nothing`,
      fix: `reassign owned by ${quoted(role)} to ${quoted(owner)}`,
    }),
  );
}
