/**
 * Kennel's roles on an added server. They have the same names as on the main one, so the checks of `sql/doctor`
 * are the same. Only migrations log in there, and each tenant's own login. A comment on the owner role says to
 * which installation the server belongs, under which name, and which of all servers that had this name it is.
 */
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';
import { becomeMember, createLogin, createRoles } from '../provisioning/logins.ts';

/** A server's name, and its random id; null for a server that has none yet. */
export type MarkedServer = { name: string; identity: string | null };

/** Creates the missing roles, and restores the mark, and the password and the limits of the login. */
export async function createServerRoles(
  connection: Connection,
  installation: Installation,
  server: MarkedServer,
): Promise<void> {
  const { roles } = installation;
  // In one transaction: an owner role without a comment belongs to another installation.
  await connection.script(
    `begin;
     do $$ begin
       if not exists (select from pg_roles where rolname = '${roles.owner}') then
         create role "${roles.owner}" noinherit;
       end if;
     end $$;
     comment on role "${roles.owner}" is '${markOf(installation, server)}';
     commit`,
  );
  await createRoles(connection, Object.values(roles));
  await becomeMember(connection, roles.owner);
  await createLogin(connection, installation, { login: roles.migrate, server: server.name });
  await connection.script(`grant "${roles.owner}" to "${roles.migrate}"`);
}

/** Removes the roles. @throws {Error} while a database or a tenant's tables belong to one of them. */
export async function dropServerRoles(
  connection: Connection,
  { roles }: Installation,
): Promise<void> {
  const { owner, ...others } = roles;
  // The owner is the last: its comment says that the others are ours.
  const drops = [...Object.values(others), owner].map((role) => `drop role if exists "${role}"`);
  await connection.script(`begin; ${drops.join('; ')}; commit`);
}

/** What the roles of a server tell: there are none, or which server it is, or that it is none of ours. */
export type ServerMark = 'none' | MarkedServer | 'foreign';

export async function readMark(
  connection: Connection,
  installation: Installation,
): Promise<ServerMark> {
  const { roles } = installation;
  const found = await connection.plain<{ name: string; mark: string | null }>`
    select rolname as name, shobj_description(oid, 'pg_authid') as mark
    from pg_roles
    where rolname = any (${Object.values(roles)})`;
  if (found.length === 0) return 'none';
  const mark = found.find(({ name }) => name === roles.owner)?.mark ?? '';
  const ours = markOf(installation, { name: '', identity: null });
  if (!mark.startsWith(ours)) return 'foreign';
  const [name = '', identity = null] = mark.slice(ours.length).split(', id ');
  return { name, identity };
}

function markOf(installation: Installation, { name, identity }: MarkedServer): string {
  const id = identity === null ? '' : `, id ${identity}`;
  return `Kennel ${installation.mark()}, server ${name}${id}`;
}
