/**
 * The state of migrations: each tenant's schema version, failed migrations, and the serving processes that
 * are too old for them.
 */
import type { Db } from '../../kernel/ports.ts';
import type { SchemaVersions } from '../../kernel/schema_versions.ts';
import type { Slug, TenantId } from '../../kernel/tenant.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { chosen, type TenantFilter } from '../tenant_filter.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { leftBehind, readProcesses, type ServingProcess } from './processes.ts';
import { type LedgerRow, readLedger } from './schema_migrator.ts';

type Listed = { name: string; isolation: string; version: number; error: string | null };

export type FleetStatus = {
  newest: number;
  current: number;
  behind: Listed[];
  /** Tenants with a newer version than these files. */
  ahead: Listed[];
  processes: (ServingProcess & {
    /** True when it cannot serve all tenants now, or once all have these files. */
    leftBehind: boolean;
  })[];
};

export type TenantState = {
  id: TenantId;
  slug: Slug;
  plan: string;
  isolation: string;
  server: string;
  generation: number;
  version: number;
  /** The version that servers must know to serve it. */
  required: number;
  error: string | null;
};

/**
 * The state of the chosen tenants and of all serving processes.
 *
 * @throws {Error} when the filter names an unknown tenant or plan.
 */
export async function migrationStatus(
  fleet: Fleet,
  control: Db,
  { heartbeatTimeoutMs, filter = {} }: { heartbeatTimeoutMs: number; filter?: TenantFilter },
): Promise<FleetStatus> {
  const files = fleet.sql.tenant;
  const newest = files.length;
  const tenants = await chosen(control, (await readStatus(fleet)).tenants, filter);
  const listed = tenants.map(({ slug: name, isolation, version, error }) => {
    return { name, isolation, version, error };
  });
  const ahead = listed.filter(({ version }) => version > newest);
  const behind = listed.filter(
    ({ version, error }) => version < newest || (version === newest && error !== null),
  );
  const lowest = lowestOf(tenants, newest);
  const required = requiredOnceMigrated(files, {
    lowest,
    required: tenants.reduce((highest, tenant) => Math.max(highest, tenant.required), 0),
  });
  const processes = await readProcesses(control, heartbeatTimeoutMs);
  const left = leftBehind(processes, required);
  return {
    newest,
    current: tenants.length - behind.length - ahead.length,
    behind,
    ahead,
    processes: processes.map((one) => ({ ...one, leftBehind: left.includes(one) })),
  };
}

/**
 * Returns the lowest version, and at most `ceiling`. Not by Math.min(), which cannot take 125 000
 * arguments.
 */
export function lowestOf(all: readonly { version: number }[], ceiling: number): number {
  return all.reduce((lowest, { version }) => Math.min(lowest, version), ceiling);
}

/** The version that servers must know once all files are applied to all tenants. */
function requiredOnceMigrated(
  files: readonly Migration[],
  { lowest, required }: { lowest: number; required: number },
): number {
  return Math.max(required, requiredBy(files.slice(lowest)));
}

export type FleetCounts = {
  behind: number;
  failed: number;
  /** Tenants with a newer version than the files of this process. */
  ahead: number;
  /** Tenants that this process cannot serve. */
  unserved: number;
  processes: number;
  processesLeftBehind: number;
};

type Counted = Omit<FleetCounts, 'processes' | 'processesLeftBehind'> & {
  lowest: number;
  required: number;
};

/** Counts the tenants and processes by their state. */
export async function countFleet(
  control: Db,
  files: readonly Migration[],
  {
    versions: { oldest, newest },
    heartbeatTimeoutMs,
  }: { versions: SchemaVersions; heartbeatTimeoutMs: number },
): Promise<FleetCounts> {
  const [row] = await control<Counted>`
    select
      (count(*) filter (where schema_version < ${newest}))::int as behind,
      (count(migration_error) filter (where schema_version < ${newest}))::int as failed,
      (count(*) filter (where schema_version > ${newest}))::int as ahead,
      (count(*) filter (where schema_version < ${oldest} or required_version > ${newest}))::int
        as unserved,
      coalesce(min(schema_version), ${newest}) as lowest,
      coalesce(max(required_version), 0) as required
    from control.tenants
    where status in ('active', 'suspended')`;
  if (!row) throw new Error('Cannot count the tenants: there was no answer');
  const { lowest, required, ...counts } = row;
  const processes = await readProcesses(control, heartbeatTimeoutMs);
  const behind = leftBehind(processes, requiredOnceMigrated(files, { lowest, required }));
  return { ...counts, processes: processes.length, processesLeftBehind: behind.length };
}

export type TenantCount = { isolation: string; status: string; tenants: number };

/** Counts the tenants of each mode and status. */
export function countTenants(control: Db): Promise<TenantCount[]> {
  return control<TenantCount>`
    select isolation, status, count(*) as tenants
    from control.tenants
    group by isolation, status`;
}

/** The state of all tenants, and the ledgers of the common placements by schema. */
export async function readStatus(
  fleet: Fleet,
): Promise<{ tenants: TenantState[]; ledgers: Map<string, LedgerRow[]> }> {
  const { admin, installation, modes } = fleet;
  const { owner } = installation.roles;
  const tenants = await asOwner(
    fleet,
    (sql) => sql<TenantState>`
      select id, slug, plan, isolation, server, generation, schema_version as version,
        required_version as required,
        migration_error as error
      from control.tenants
      where status in ('active', 'suspended')
      order by slug`,
  );
  const ledgers = new Map<string, LedgerRow[]>();
  for (const { placement } of modes.commonPlacements()) {
    const { schema } = placement;
    const ledger = await admin.exclusive(
      installation.adminUrlOf(placement),
      fleetWork,
      (connection) => readLedger(connection, schema, owner),
    );
    ledgers.set(schema, ledger);
  }
  return { tenants, ledgers };
}

/** Counts the emails that wait to be sent, and those that were given up. */
export async function countEmails(control: Db): Promise<{ waiting: number; givenUp: number }> {
  const [row] = await control<{ waiting: number; given_up: number }>`
    select count(*) filter (where next_attempt_at < 'infinity') as waiting,
      count(*) filter (where next_attempt_at = 'infinity') as given_up
    from control.outbox
    where sent_at is null`;
  return { waiting: row?.waiting ?? 0, givenUp: row?.given_up ?? 0 };
}
