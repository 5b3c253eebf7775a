/** Roles and logins of the server. Each function may be repeated: it sets again what it has set before. */
import { randomBytes } from 'node:crypto';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';
import { scramVerifier } from '../../postgres/scram_verifier.ts';
import { limitConnections } from './connection_limits.ts';

/** A role without login. Two processes may start at once: the later one finds it there. */
export async function createRole(connection: Connection, role: string): Promise<void> {
  await connection.script(
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${role}') then
         create role "${role}" noinherit;
       end if;
     exception when duplicate_object or unique_violation then null;
     end $$`,
  );
}

/**
 * A role that may log in, with the password that the installation derives for it. Its plans read an
 * index in order: without statistics the planner believes a tenant's part of an index to be small, and
 * would fetch and sort all of it for each page of a list.
 */
export async function createLogin(
  connection: Connection,
  installation: Installation,
  role: string,
): Promise<void> {
  await createRole(connection, role);
  const verifier = scramVerifier(installation.password(role), randomBytes(16));
  await connection.script(
    `alter role "${role}" login noinherit password '${verifier}';
     alter role "${role}" reset all;
     alter role "${role}" set enable_bitmapscan = off`,
  );
  await limitConnections(connection, installation, role);
}

/**
 * A login that runs tenants' statements: others do not see them, and neither does the server's log. An
 * injected `set role none` makes a session the login, which could read the statements of its other sessions,
 * seals included. An error is logged with its whole message: one that quotes a value of megabytes would
 * fill the disk. Where the administrator may not forbid that, Kennel runs all the same, and the doctor says so.
 */
export async function keepStatementsQuiet(connection: Connection, role: string): Promise<void> {
  for (const setting of ['track_activities = off', 'log_min_messages = log']) {
    await connection.script(
      `do $$ begin
         alter role "${role}" set ${setting};
       exception when insufficient_privilege then null;
       end $$`,
    );
  }
}

/**
 * The timeouts that a session begins with do not see a transaction whose client hangs between the parts of
 * a statement (parsed and never bound), and it would keep its locks for as long. Postgres 17 has one that does.
 */
export async function limitTransactions(
  connection: Connection,
  role: string,
  limitMs: number,
): Promise<void> {
  await connection.script(
    `do $$ begin
       if exists (select from pg_settings where name = 'transaction_timeout') then
         alter role "${role}" set transaction_timeout = ${limitMs};
       end if;
     end $$`,
  );
}

/** An administrator without superuser needs this to make a role's objects, and to end its sessions. */
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
