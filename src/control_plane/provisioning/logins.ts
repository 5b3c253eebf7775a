/** Roles and logins of the server. Each function may be repeated, and restores changed settings. */
import { randomBytes } from 'node:crypto';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';
import { scramVerifier } from '../../postgres/scram_verifier.ts';
import { limitConnections } from './connection_limits.ts';

/** Creates roles without login, unless they exist: two processes may start at the same time. */
export async function createRoles(connection: Connection, roles: readonly string[]): Promise<void> {
  await connection.script(roles.map(creatingRole).join(';\n'));
}

function creatingRole(role: string): string {
  return `do $$ begin
    if not exists (select from pg_roles where rolname = '${role}') then
      create role "${role}" noinherit;
    end if;
  exception when duplicate_object or unique_violation then null;
  end $$`;
}

type NewLogin = {
  login: string;
  server: string;
  /** SQL of this module that restricts the login further. */
  restrictions?: readonly string[];
};

/**
 * Creates a login with the password that the installation derives for it. Bitmap scans are off, so that a
 * page of a list is read in the order of its index: without statistics the planner expects few rows for
 * a tenant, and would fetch and sort all of them for each page.
 */
export async function createLogin(
  connection: Connection,
  installation: Installation,
  { login, server, restrictions = [] }: NewLogin,
): Promise<void> {
  const verifier = scramVerifier(installation.password(login, server), randomBytes(16));
  // As one script they are one transaction, which waits for the disk once.
  await connection.script(
    [
      creatingRole(login),
      `alter role "${login}" login noinherit password '${verifier}' connection limit -1`,
      `alter role "${login}" reset all`,
      `alter role "${login}" set enable_bitmapscan = off`,
      ...restrictions,
    ].join(';\n'),
  );
  await limitConnections(connection, installation, login);
}

/**
 * Hides the statements of a login that serves tenants, in pg_stat_activity and in the server's log. After
 * an injected `set role none` a session could read the statements, and with them the seals, of the login's
 * other sessions. The log would contain each error's whole message: one that quotes a value of megabytes
 * could fill the disk. If the administrator lacks the right, Kennel runs anyway, and the doctor warns.
 */
export function hidingStatements(role: string): string {
  return ['track_activities = off', 'log_min_messages = log']
    .map(
      (setting) => `do $$ begin
        alter role "${role}" set ${setting};
      exception when insufficient_privilege then null;
      end $$`,
    )
    .join(';\n');
}

/**
 * Limits whole transactions, from Postgres 17 on. The other timeouts do not cover a client that hangs
 * between the messages of a statement (parsed but never bound); its transaction would keep its locks.
 */
export function limitingTransactions(role: string, limitMs: number): string {
  return `do $$ begin
    if current_setting('server_version_num')::int >= 170000 then
      alter role "${role}" set transaction_timeout = ${limitMs};
    end if;
  end $$`;
}

/** An administrator who is no superuser needs this to create objects for a role and end its sessions. */
export async function becomeMember(connection: Connection, role: string): Promise<void> {
  await connection.script(
    `do $$ begin
       if exists (select from pg_roles where rolname = '${role}')
         and not (select rolsuper from pg_roles where rolname = current_user) then
         execute format('grant %I to %I', '${role}', current_user);
       end if;
     end $$`,
  );
}
