/**
 * Revokes default rights of PUBLIC that Kennel does not need. A step for which the administrator lacks
 * the right is skipped; the doctor reports it.
 */

import type { Connection } from '../../postgres/connection.ts';
import { type FunctionGrantees, revokeFunctions } from './revoked_functions.ts';

/** The main database. Its schema `public` is kept, because it may contain objects of others. */
export async function hardenMain(
  connection: Connection,
  grantees: FunctionGrantees,
): Promise<void> {
  await connection.script(
    `do $$ begin
       revoke all on schema public from public;
     exception when insufficient_privilege or invalid_schema_name then null;
     end $$`,
  );
  await forbidBlocks(connection, grantees.owner);
  await revokeFunctions(connection, grantees);
}

/** Another database, under its lock: two processes that change the same right at once would both fail. */
export async function hardenDatabase(
  connection: Connection,
  grantees: FunctionGrantees,
): Promise<void> {
  await connection.script(
    `do $$ begin
       set local client_min_messages = warning;
       drop schema if exists public;
     exception
       when dependent_objects_still_exist then revoke all on schema public from public;
       when insufficient_privilege then null;
     end $$`,
  );
  await forbidBlocks(connection, grantees.owner);
  await revokeFunctions(connection, grantees);
}

/**
 * Takes plpgsql from PUBLIC: an injected DO block could reset its role and change the password of the
 * login that all tenants share. Without a language, only single statements remain, and a connection
 * checks their command tags.
 */
async function forbidBlocks(connection: Connection, owner: string): Promise<void> {
  await connection.script(
    `do $$ begin
       revoke usage on language plpgsql from public;
       grant usage on language plpgsql to "${owner}", current_user;
     exception when insufficient_privilege then null;
     end $$`,
  );
}
