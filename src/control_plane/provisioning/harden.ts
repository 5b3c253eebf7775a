/**
 * Takes from everybody what a new database of Postgres gives to everybody and nobody of ours needs.
 * Each step is skipped where the administrator may not; the doctor names what is left.
 */

import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import { type Keepers, revokeFunctions } from './revoked_functions.ts';

/** The main database. Its schema `public` may have tenants that are not ours, so it stays. */
export async function hardenMain(connection: Connection, keepers: Keepers): Promise<void> {
  await connection.script(
    `do $$ begin
       revoke all on schema public from public;
     exception when insufficient_privilege or invalid_schema_name then null;
     end $$`,
  );
  await forbidBlocks(connection, keepers.owner);
  await revokeFunctions(connection, keepers);
}

/** A further database, one process at a time: two that change one right at once both fail. */
export function hardenDatabase(
  connection: Connection,
  placement: Placement,
  owner: string,
): Promise<void> {
  return withLock(connection, `harden ${placement.database}`, async () => {
    await connection.script(
      `do $$ begin
         set local client_min_messages = warning;
         drop schema if exists public;
       exception
         when dependent_objects_still_exist then revoke all on schema public from public;
         when insufficient_privilege then null;
       end $$`,
    );
    await forbidBlocks(connection, owner);
    // A session that begins with its context has none to set.
    const setter = isDedicated(placement) ? null : placement.login;
    await revokeFunctions(connection, { owner, setter });
  });
}

/**
 * An injected DO block could put off its role and change the password of its own login: one tenant
 * would lock out all. What needs no language is one statement at a time, and a connection looks at its tag.
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
