/** Creates, upgrades and drops a schema with tenants' tables. Every step may be repeated. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { DatabasePlace, Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { assertFilesUnedited, recordFile } from '../migrations/checksums.ts';
import {
  createUpgraded,
  ledgerTable,
  readLedger,
  type Upgrade,
  upgrade,
  upgradeTogether,
} from '../migrations/schema_migrator.ts';
import { lockUntilDiscard, schemaLock, scriptAsOwner, withSchemaLock } from './placement_lock.ts';
import { placementRights } from './schema_rights.ts';
import { assertingGuards, restricting, showingAll } from './tenant_tables.ts';

/**
 * Creates the schema, applies all migrations, and returns its version.
 *
 * @param control records the applied files.
 * @param assertStillOwner is called before: another process may have taken over.
 * @throws {Error} when a file was edited after it had been applied anywhere, or a migration fails.
 */
export function createSchema(
  fleet: Fleet,
  placement: Placement,
  {
    control,
    assertStillOwner = async () => {},
  }: { control: Sql; assertStillOwner?: () => Promise<void> },
): Promise<number> {
  const { owner } = fleet.installation.roles;
  return migrating(fleet, placement, async (connection) => {
    // The first two are sent at once: Postgres runs the second one when the first has the lock.
    const [, exists, known] = await Promise.all([
      lockUntilDiscard(connection, schemaLock(placement), owner),
      hasLedger(connection, placement.schema),
      assertFilesUnedited(control, fleet.sql.tenant),
    ]);
    await assertStillOwner();
    const onApplied: Upgrade['onApplied'] = async (file) => {
      if (!known.has(file.version)) await recordFile(control, file);
    };
    const parts = upgradeOf({ fleet, placement, onApplied, known });
    const inSession: Upgrade = { ...parts, migrating: (work) => work(connection) };
    const { schema } = placement;
    if (exists) return upgrade(connection, schema, inSession);
    return createUpgraded(schema, creationOf(fleet, placement), inSession);
  });
}

/** Reads the catalog, because only the owner may use the schema. */
async function hasLedger(connection: Connection, schema: string): Promise<boolean> {
  const found = await connection.plain`
    select from pg_class
    where relname = 'migrations'
      and relnamespace = (select oid from pg_namespace where nspname = ${schema})`;
  return found.length > 0;
}

/** The owner owns tenants' databases, but not the main one, where the migrations' login may create schemas. */
function creationOf({ installation }: Fleet, placement: Placement): string {
  const { roles, database } = installation;
  const creator = placement.database === database ? roles.migrate : roles.owner;
  return `set local role "${creator}";
    create schema if not exists "${placement.schema}" authorization "${roles.owner}";
    set local role "${roles.owner}";
    ${placementRights(placement)}
    ${ledgerTable(placement.schema)}`;
}

type SchemaUpgrade = {
  fleet: Fleet;
  placement: Placement;
  onApplied: Upgrade['onApplied'];
  known?: ReadonlySet<number>;
};

/** Applies the pending migrations of `sql/tenant` to a schema. @returns its version. */
export function upgradeSchema(connection: Connection, upgraded: SchemaUpgrade): Promise<number> {
  return upgrade(connection, upgraded.placement.schema, upgradeOf(upgraded));
}

/**
 * Applies them to several schemas of one database and role in one transaction, to all or to none. Tables stay
 * locked until its end, so no statement may wait or work for long.
 *
 * @param version that all of them have.
 */
export function upgradeSchemas(
  schemas: readonly string[],
  version: number,
  { timeouts, ...upgraded }: SchemaUpgrade & { timeouts: TogetherTimeouts },
): Promise<void> {
  return upgradeTogether(schemas, version, { ...upgradeOf(upgraded), ...timeouts });
}

export type TogetherTimeouts = Required<
  Pick<Upgrade, 'lockTimeoutMs' | 'statementTimeoutMs' | 'transactionTimeoutMs'>
>;

function upgradeOf({ fleet, placement, onApplied, known = new Set() }: SchemaUpgrade): Upgrade {
  const { role } = placement;
  const { owner, migrate } = fleet.installation.roles;
  return {
    owner,
    roles: { app: role },
    migrations: fleet.sql.tenant,
    // In a schema of the owner alone, it needs no grants and must see all rows.
    restrictions: (schemas) =>
      role === owner
        ? `${assertingGuards(schemas)}; ${showingAll(schemas, migrate)}`
        : restricting(schemas, role),
    lockTimeoutMs: fleet.migrationLockTimeoutMs,
    migrating: (work) => migrating(fleet, placement, work),
    onApplied,
    known,
  };
}

/** Runs `work` in a session that is reset afterwards, so that no migration leaves state in it. */
export function migrating<Result>(
  { migrators, installation }: Pick<Fleet, 'migrators' | 'installation'>,
  place: DatabasePlace,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  return migrators.exclusive(installation.migrationUrlOf(place), fleetWork, (connection) =>
    work(connection).finally(() => connection.discard().catch(() => connection.close())),
  );
}

/** The number of migrations that have been applied to a schema. */
export async function schemaVersion(
  { admin, installation }: Fleet,
  placement: Placement,
): Promise<number> {
  const { owner } = installation.roles;
  const ledger = await admin.exclusive(
    installation.adminUrlOf(placement),
    fleetWork,
    (connection) => readLedger(connection, placement.schema, owner),
  );
  return ledger.length;
}

/**
 * Drops the schema with its tables, if it exists.
 *
 * @param guard SQL of the main database that fails, as the owner, when this process may not go on.
 */
export function dropSchema(fleet: Fleet, placement: Placement, guard = ''): Promise<void> {
  const { main, roles } = fleet.installation;
  const { server, database, schema } = placement;
  const isInMain = server === main.server && database === main.database;
  const guarding = guard && `set local role "${roles.owner}"; ${guard}; set local role none;`;
  return withSchemaLock(fleet, placement, async (connection) => {
    if (guard && !isInMain) await scriptAsOwner(fleet, main, guard);
    await connection.script(
      `begin; set local client_min_messages = warning; ${isInMain ? guarding : ''}
       drop schema if exists "${schema}" cascade; commit`,
    );
  });
}
