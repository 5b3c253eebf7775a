/**
 * Brings all tenants to the newest schema version, schema by schema. A schema that fails is reported and
 * the others continue; the next run retries only schemas that are still behind.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PlacementGroup } from '../../isolation/modes.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { causeOf, codeOf } from '../../postgres/errors.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { upgradeSchema } from '../provisioning/tenant_schema.ts';
import { chosen, type TenantFilter } from '../tenant_filter.ts';
import { assertFilesUnedited } from './checksums.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { assertAllCompatible, readProcesses } from './processes.ts';
import { assertUnedited } from './schema_migrator.ts';
import { lowestOf, readStatus, type TenantState } from './status.ts';
import { type SchemaResult, VersionRecorder } from './version_recorder.ts';

export type MigrateOptions = {
  /** Only schemas with a tenant that it chooses, each with all its tenants. Default: all schemas. */
  filter?: TenantFilter;
  /** The number of schemas that are migrated first, one by one; if one fails, the rest is not changed. */
  canary: number;
  /** Schemas at the same time. */
  concurrency: number;
  lockAttempts: number;
  lockRetryMs: number;
  errorChars: number;
  /** A serving process without a heartbeat for this time counts as dead. */
  heartbeatTimeoutMs: number;
  onProgress: (progress: Progress) => void;
};

/** A schema that is behind, and its tenants; `version` rises while it is migrated. */
export type Pending = { name: string; placement: Placement; tenants: Slug[]; version: number };

export type Progress = { done: number; of: number; name: string; error: string | null };

export type Outcome = { migrated: number; failed: { name: string; error: string }[]; left: number };

/**
 * Migrates the schemas that are behind, and returns how many, and which failed.
 *
 * @throws {Error} when a file was edited, the tenant is unknown, another migration is running, or a
 *   serving process would be incompatible; nothing was changed then.
 */
export async function migrateFleet(
  fleet: Fleet,
  control: Db,
  jobs: ConnectionPool,
  options: MigrateOptions,
): Promise<Outcome> {
  const { installation } = fleet;
  const target = installation.adminTarget(installation.main);
  const outcome = await jobs.exclusive(target, 'migrate', (connection) =>
    tryWithLock(connection, 'migrate', () => new Run(fleet, control, options).all()),
  );
  if (outcome) return outcome;
  throw new Error('Cannot migrate: another migration or a move is under way');
}

class Run {
  readonly #fleet: Fleet;
  readonly #control: Db;
  readonly #options: MigrateOptions;
  readonly #recorder: VersionRecorder;
  readonly #outcome: Outcome = { migrated: 0, failed: [], left: 0 };
  #total = 0;

  constructor(fleet: Fleet, control: Db, options: MigrateOptions) {
    this.#fleet = fleet;
    this.#control = control;
    this.#options = options;
    this.#recorder = new VersionRecorder(control, options);
  }

  async all(): Promise<Outcome> {
    const { canary, concurrency } = this.#options;
    await assertFilesUnedited(this.#control, this.#fleet.sql.tenant);
    const pending = await pendingSchemas(this.#fleet, this.#control, this.#options.filter);
    await this.#assertCompatibleServers(pending);
    this.#total = pending.length;
    const canaries = pending.splice(0, canary);
    await this.#drain(canaries, 1);
    if (this.#outcome.failed.length === 0) await this.#drain(pending, concurrency);
    return { ...this.#outcome, left: pending.length };
  }

  async #assertCompatibleServers(pending: readonly Pending[]): Promise<void> {
    const lowest = lowestOf(pending, this.#fleet.sql.tenant.length);
    const required = requiredBy(this.#fleet.sql.tenant.slice(lowest));
    if (required === 0) return;
    assertAllCompatible(
      await readProcesses(this.#control, this.#options.heartbeatTimeoutMs),
      required,
    );
  }

  /** Takes schemas from the list until it is empty, `workers` at the same time. */
  async #drain(pending: Pending[], workers: number): Promise<void> {
    const work = async () => {
      // The next schema is migrated while the registry's copy of this one is written.
      let recorded = Promise.resolve();
      for (let next = pending.shift(); next; next = pending.shift()) {
        const result = await this.#migrate(next);
        await recorded;
        recorded = this.#recorder.schema(result);
        recorded.catch(() => {});
      }
      await recorded;
    };
    await Promise.all(Array.from({ length: workers }, work));
  }

  async #migrate(pending: Pending): Promise<SchemaResult> {
    const { name, tenants } = pending;
    const error = await this.#attempt(pending);
    if (error === null) this.#outcome.migrated += 1;
    else this.#outcome.failed.push({ name, error });
    const done = this.#outcome.migrated + this.#outcome.failed.length;
    this.#options.onProgress({ done, of: this.#total, name, error });
    // Files that were applied before one failed count too, because servers must know them.
    const version = error === null ? this.#fleet.sql.tenant.length : pending.version;
    return { tenants, version, error };
  }

  /** Migrates one schema, and returns the error, or null. A lock timeout is retried after a pause. */
  async #attempt(pending: Pending): Promise<string | null> {
    const { placement } = pending;
    const { admin, installation } = this.#fleet;
    const { lockAttempts, lockRetryMs } = this.#options;
    const target = installation.adminTarget(placement);
    const onApplied = async (file: Migration) => {
      pending.version = file.version;
      await this.#recorder.file(file);
    };
    const upgrade = (connection: Connection) =>
      upgradeSchema(connection, { fleet: this.#fleet, placement, onApplied });
    for (let attempt = 1; ; attempt += 1) {
      try {
        await admin.exclusive(target, fleetWork, upgrade);
        return null;
      } catch (error) {
        const cause = causeOf(error);
        if (codeOf(cause) !== '55P03' || attempt === lockAttempts) return cause.message;
        await delay(lockRetryMs);
      }
    }
  }
}

/** The schemas that are behind. A common schema without tenants has its version in its ledger only. */
async function pendingSchemas(
  fleet: Fleet,
  control: Db,
  filter: TenantFilter | undefined,
): Promise<Pending[]> {
  const newest = fleet.sql.tenant.length;
  const { tenants, ledgers } = await readStatus(fleet);
  for (const ledger of ledgers.values()) assertUnedited(ledger, fleet.sql.tenant);
  const wanted = filter && new Set(await chosen(control, tenants, filter));
  return fleet.modes
    .groupsOf(tenants)
    .filter((group) => !wanted || group.tenants.some((tenant) => wanted.has(tenant)))
    .map((group) => {
      const { placement } = group;
      const ledger = ledgers.get(placement.schema);
      return {
        name: nameOf(group),
        placement,
        tenants: group.tenants.map((tenant) => tenant.slug),
        version: lowestOf(group.tenants, ledger?.length ?? newest),
      };
    })
    .filter(({ version }) => version < newest);
}

function nameOf({ placement, tenants, common }: PlacementGroup<TenantState>): string {
  const slugs = tenants.map(({ slug }) => slug);
  if (!common) return slugs.join();
  const some = slugs.slice(0, 3).join(', ');
  return `${placement.schema} (${slugs.length} tenants: ${some}${slugs.length > 3 ? ', …' : ''})`;
}
