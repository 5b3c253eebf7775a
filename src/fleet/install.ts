/**
 * Makes a database Kennel's own: roles, schemas, the control tables, the shared place. Done at every
 * start, by the administrator; a second start makes nothing anew and sets passwords, rights and keys
 * to what they were.
 */
import { codeOf } from '../postgres/faults.ts';
import { databaseOf, Installation, rolesOf, schemas } from '../postgres/installation.ts';
import type { Lane } from '../postgres/lane.ts';
import type { LanePool } from '../postgres/lane_pool.ts';
import { type Fleet, fleetWork } from './fleet.ts';
import { nobodyIsTold, upgrade } from './ledger.ts';
import type { Migration } from './migration_files.ts';
import {
  createLogin,
  createPlace,
  createRole,
  hideActivity,
  prepareKernel,
  workOn,
} from './place.ts';
import { readSecrets } from './seal_keys.ts';
import { inTurn } from './session_lock.ts';

export type InstallOptions = {
  sql: { kernel: Migration[]; control: Migration[]; tenant: Migration[] };
  placesKept: number;
  migrationLockTimeoutMs: number;
  /** Told what is not as it should be and does not stop the start. */
  warn: (message: string) => void;
};

const oldestServer = 150_000;

/**
 * One process at a time: the others wait, and find nothing left to make.
 *
 * @throws {Error} when the server is too old or the administrator may not do this.
 */
export function install(
  adminUrl: string,
  admin: LanePool,
  options: InstallOptions,
): Promise<Fleet> {
  return admin
    .use(adminUrl, fleetWork, (lane) =>
      inTurn(lane, 'install', () => installOn(lane, adminUrl, admin, options)),
    )
    .catch((error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
      const reason = error instanceof Error ? error.message : '';
      throw new Error(
        `Cannot install Kennel: ${reason}; the login of DATABASE_URL needs createrole, createdb and create on its database`,
      );
    });
}

async function installOn(
  lane: Lane,
  adminUrl: string,
  admin: LanePool,
  { sql, placesKept, migrationLockTimeoutMs, warn }: InstallOptions,
): Promise<Fleet> {
  await assertServer(lane);
  const database = databaseOf(adminUrl);
  const roles = rolesOf(database);
  for (const role of Object.values(roles)) await createRole(lane, role);
  await becomeMember(lane, roles.owner);
  await createSchema(lane, schemas.control, roles.owner);
  // The control tables default to kernel.tenant(), so the kernel schema comes first; its keys need
  // the secret, which is a control table. The function can be there before its keys are.
  await createSchema(lane, schemas.kernel, roles.owner);
  const common = {
    owner: roles.owner,
    lockTimeoutMs: migrationLockTimeoutMs,
    onApplied: nobodyIsTold,
  };
  await upgrade(lane, { ...common, schema: schemas.kernel, roles: {}, migrations: sql.kernel });
  await upgrade(lane, {
    ...common,
    schema: schemas.control,
    roles: { control: roles.control, account: roles.account },
    migrations: sql.control,
  });
  const installation = new Installation(adminUrl, await readSecrets(lane, roles.owner), placesKept);
  await admitLogins(lane, installation);
  await assertModest(lane, Object.values(roles));
  if (await showsActivity(lane, roles.serve)) {
    warn(
      'Seals can be read in pg_stat_activity: let a superuser grant set on parameter track_activities to the administrator',
    );
  }
  const fleet = { admin, installation, sql, migrationLockTimeoutMs };
  await createSharedPlace(lane, fleet);
  if (await mayWriteBlocks(lane, roles.serve)) {
    warn(
      'An injected DO block can change the password of a login: let a superuser revoke usage on language plpgsql from public, and grant it to the administrator and the owner role',
    );
  }
  return fleet;
}

async function assertServer(lane: Lane): Promise<void> {
  const [server] = await lane.plain<{ number: number; name: string }>`
    select current_setting('server_version_num')::int as number,
      current_setting('server_version') as name`;
  if (server && server.number >= oldestServer) return;
  throw new Error(`Cannot use this Postgres: it is ${server?.name}, Kennel needs 15 or newer`);
}

/** An administrator who is no superuser must be a member of the role whose objects it makes. */
async function becomeMember(lane: Lane, owner: string): Promise<void> {
  await lane.script(
    `do $$ begin
       if not (select rolsuper from pg_roles where rolname = current_user) then
         execute format('grant %I to %I', '${owner}', current_user);
       end if;
     end $$`,
  );
}

async function createSchema(lane: Lane, schema: string, owner: string): Promise<void> {
  await lane.script(`create schema if not exists "${schema}" authorization "${owner}"`);
}

/** @throws {Error} when a role could pass by row security, or by its own limits. */
async function assertModest(lane: Lane, roles: string[]): Promise<void> {
  const [mighty] = await lane.plain<{ name: string }>`
    select rolname as name
    from pg_roles
    where rolname in (select jsonb_array_elements_text(${JSON.stringify(roles)}::text::jsonb))
      and (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication)`;
  if (!mighty) return;
  const modest = 'nosuperuser nobypassrls nocreatedb nocreaterole noreplication';
  throw new Error(
    `Cannot start: the role "${mighty.name}" may do too much; alter role "${mighty.name}" ${modest}`,
  );
}

/** Whether sessions of the login tell what they run; see `hideActivity` in `place.ts`. */
async function showsActivity(lane: Lane, login: string): Promise<boolean> {
  const hidden = await lane.plain`
    select from pg_roles where rolname = ${login} and 'track_activities=off' = any (rolconfig)`;
  return hidden.length === 0;
}

/** See `forbidBlocks` in `place.ts`. */
async function mayWriteBlocks(lane: Lane, login: string): Promise<boolean> {
  const allowed = await lane.plain`
    select where has_language_privilege(${login}, 'plpgsql', 'usage')`;
  return allowed.length > 0;
}

async function admitLogins(lane: Lane, installation: Installation): Promise<void> {
  const { database, roles } = installation;
  for (const login of [roles.serve, roles.control]) await createLogin(lane, installation, login);
  await hideActivity(lane, roles.serve);
  await lane.script(
    `grant "${roles.app}", "${roles.account}" to "${roles.serve}";
     revoke connect, temporary on database "${database}" from public;
     grant connect on database "${database}" to "${roles.serve}", "${roles.control}";
     begin;
     set local role "${roles.owner}";
     grant usage on schema control to "${roles.control}", "${roles.account}";
     commit`,
  );
}

/** Pending migrations of the shared place are left to `npm run migrate`, once it exists. */
async function createSharedPlace(lane: Lane, fleet: Fleet): Promise<void> {
  const { installation } = fleet;
  await workOn({ fleet, place: installation.shared, from: installation.database }, async (own) => {
    await prepareKernel(own, fleet, installation.account);
    await prepareKernel(own, fleet, installation.shared);
  });
  const found = await lane.plain`
    select from pg_tables where schemaname = ${schemas.shared} and tablename = 'migrations'`;
  if (found.length === 0) await createPlace(fleet, installation.shared);
}
