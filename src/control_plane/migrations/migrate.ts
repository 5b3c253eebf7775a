/**
 * Brings all tenants to the newest schema version. A schema that fails is reported and the others continue;
 * the next run retries only schemas that are still behind.
 *
 * Migrations that only add objects are applied to some schemas in one transaction, because most of the time is
 * spent on the catalog queries and the commit of each transaction. If that fails, each is migrated by itself.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PlacementGroup } from '../../isolation/modes.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug, TenantId } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { causeOf, codeOf } from '../../postgres/errors.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import {
  type TogetherTimeouts,
  upgradeSchema,
  upgradeSchemas,
} from '../provisioning/tenant_schema.ts';
import { chosen, type TenantFilter } from '../tenant_filter.ts';
import { assertFilesUnedited } from './checksums.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { assertAllCompatible, readProcesses } from './processes.ts';
import { assertUnedited } from './schema_migrator.ts';
import { lowestOf, readStatus, type TenantState } from './status.ts';
import { type SchemaResult, VersionRecorder } from './version_recorder.ts';

export type MigrateOptions = {
  /** Only schemas with a tenant that it chooses, each with all its tenants. Without a condition: all schemas. */
  filter?: TenantFilter;
  /** The number of schemas that are migrated first, one by one; if one fails, the rest is not changed. */
  canary: number;
  /** Transactions at the same time. */
  concurrency: number;
  /** Schemas that are migrated in one transaction, and how long each of its statements may wait or take. */
  together: TogetherTimeouts & { schemas: number };
  lockAttempts: number;
  lockRetryMs: number;
  errorChars: number;
  /** A serving process without a heartbeat for this time counts as dead. */
  heartbeatTimeoutMs: number;
  /** Called before the first schema is migrated, if there is one. */
  prepare?: () => Promise<void>;
  onProgress: (progress: MigrationProgress) => void;
};

/** A schema that is behind, and its tenants; `version` rises while it is migrated. */
export type Pending = {
  name: string;
  placement: Placement;
  tenants: Slug[];
  ids: TenantId[];
  version: number;
  /** Whether the schema exists with or without tenants. */
  common: boolean;
};

export type MigrationProgress = { done: number; of: number; name: string; error: string | null };

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
  jobLocks: ConnectionPool,
  options: MigrateOptions,
): Promise<Outcome> {
  const { installation } = fleet;
  const url = installation.adminUrlOf(installation.main);
  const outcome = await jobLocks.exclusive(url, 'migrate', (connection) =>
    tryWithLock(connection, 'migrate', () =>
      new Run(fleet, control, {
        ...options,
        // Fails when the lock was lost: then a move may be under way.
        assertLocked: async () => void (await connection.plain`select`),
      }).all(),
    ),
  );
  if (outcome) return outcome;
  throw new Error('Cannot migrate: another migration or a move is under way');
}

type RunOptions = MigrateOptions & { assertLocked: () => Promise<void> };

class Run {
  readonly #fleet: Fleet;
  readonly #control: Db;
  readonly #options: RunOptions;
  readonly #recorder: VersionRecorder;
  readonly #outcome: Outcome = { migrated: 0, failed: [], left: 0 };
  #total = 0;

  constructor(fleet: Fleet, control: Db, options: RunOptions) {
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
    if (pending.length > 0) await this.#options.prepare?.();
    this.#total = pending.length;
    const canaries = pending.splice(0, canary);
    await this.#drain(batchesOf(canaries, 1), 1);
    const rest = batchesOf(pending, this.#batchSize(pending));
    if (this.#outcome.failed.length === 0) await this.#drain(rest, concurrency);
    return { ...this.#outcome, left: rest.flat().length };
  }

  /**
   * Returns 1 unless all missing files only add: other statements may leave state in the session, or take long
   * while the tables of others are locked.
   */
  #batchSize(pending: readonly Pending[]): number {
    const files = this.#fleet.sql.tenant;
    const missing = files.slice(lowestOf(pending, files.length));
    return missing.every(({ additive }) => additive) ? this.#options.together.schemas : 1;
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

  /** Takes batches from the list until it is empty, `workers` at the same time. The first failure stops them all. */
  async #drain(batches: Pending[][], workers: number): Promise<void> {
    const work = async () => {
      // The next schemas are migrated while the registry's copy of these is written.
      let recorded: Promise<unknown> = Promise.resolve();
      for (let next = batches.shift(); next; next = batches.shift()) {
        await this.#options.assertLocked();
        const results = await this.#migrate(next);
        await recorded;
        recorded = Promise.all(results.map((result) => this.#recorder.schema(result)));
        recorded.catch(() => {});
      }
      await recorded;
    };
    const stopping = (error: unknown) => {
      batches.length = 0;
      throw error;
    };
    // All of them have ended when the lock is released.
    const ended = await Promise.allSettled(
      Array.from({ length: workers }, () => work().catch(stopping)),
    );
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  }

  async #migrate(batch: readonly Pending[]): Promise<SchemaResult[]> {
    const [{ version } = { version: 0 }] = batch;
    if (batch.length > 1 && (await this.#migrateTogether(batch))) {
      return batch.map((one) => this.#finished(one, null));
    }
    const results: SchemaResult[] = [];
    for (const one of batch) {
      const error = await this.#attempt(one);
      if (error !== null && (await this.#isDeleted(one))) this.#total -= 1;
      else results.push(this.#finished(one, error));
    }
    if (results.some(({ error }) => error === null)) {
      // Their record may have failed in the batch.
      for (const file of this.#fleet.sql.tenant.slice(version)) await this.#recorder.file(file);
    }
    return results;
  }

  #finished(pending: Pending, error: string | null): SchemaResult {
    const { name, tenants } = pending;
    if (error === null) this.#outcome.migrated += 1;
    else this.#outcome.failed.push({ name, error });
    const done = this.#outcome.migrated + this.#outcome.failed.length;
    this.#options.onProgress({ done, of: this.#total, name, error });
    // Files that were applied before one failed count too, because servers must know them.
    const version = error === null ? this.#fleet.sql.tenant.length : pending.version;
    return { tenants, version, error };
  }

  /** Whether all tenants of the schema were deleted meanwhile, and the schema with them. */
  async #isDeleted({ ids, common }: Pending): Promise<boolean> {
    if (common) return false;
    const left = await this.#control`
      select from control.tenants where id = any (${ids}) and status <> 'deleting'`;
    return left.length === 0;
  }

  /** False when the schemas have to be migrated one by one, which then reports the error. */
  async #migrateTogether(batch: readonly Pending[]): Promise<boolean> {
    const [first] = batch;
    if (!first) return true;
    const { placement, version } = first;
    const schemas = batch.map((one) => one.placement.schema);
    const onApplied = async (file: Migration) => {
      for (const one of batch) one.version = file.version;
      await this.#recorder.file(file);
    };
    try {
      await upgradeSchemas(schemas, version, {
        ...{ fleet: this.#fleet, placement, onApplied, timeouts: this.#options.together },
      });
      return true;
    } catch {
      return false;
    }
  }

  /** Migrates one schema, and returns the error, or null. A lock timeout is retried after a pause. */
  async #attempt(pending: Pending): Promise<string | null> {
    const { placement } = pending;
    const { admin, installation } = this.#fleet;
    const { lockAttempts, lockRetryMs } = this.#options;
    const url = installation.adminUrlOf(placement);
    const onApplied = async (file: Migration) => {
      pending.version = file.version;
      await this.#recorder.file(file);
    };
    const upgrade = (connection: Connection) =>
      upgradeSchema(connection, { fleet: this.#fleet, placement, onApplied });
    for (let attempt = 1; ; attempt += 1) {
      try {
        await admin.exclusive(url, fleetWork, upgrade);
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
  filter: TenantFilter = {},
): Promise<Pending[]> {
  const newest = fleet.sql.tenant.length;
  const { tenants, ledgers } = await readStatus(fleet);
  for (const ledger of ledgers.values()) assertUnedited(ledger, fleet.sql.tenant);
  // Without a condition also the common schemas without tenants: one may move there.
  const wanted =
    Object.keys(filter).length === 0 ? null : new Set(await chosen(control, tenants, filter));
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
        ids: group.tenants.map((tenant) => tenant.id),
        version: lowestOf(group.tenants, ledger?.length ?? newest),
        common: group.common,
      };
    })
    .filter(({ version }) => version < newest);
}

/** The schemas in batches that one transaction can migrate. */
function batchesOf(pending: readonly Pending[], size: number): Pending[][] {
  const batches: Pending[][] = [];
  const open = new Map<string, Pending[]>();
  for (const one of pending) {
    const { placement, version, name } = one;
    const { server, database, role } = placement;
    const key = one.common ? name : `${server} ${database} ${role} ${version}`;
    let batch = open.get(key);
    if (!batch || batch.length === size) {
      batch = [];
      batches.push(batch);
      open.set(key, batch);
    }
    batch.push(one);
  }
  return batches;
}

function nameOf({ placement, tenants, common }: PlacementGroup<TenantState>): string {
  const slugs = tenants.map(({ slug }) => slug);
  if (!common) return slugs.join();
  if (slugs.length === 0) return `${placement.schema} (no tenants)`;
  const some = slugs.slice(0, 3).join(', ');
  return `${placement.schema} (${slugs.length} tenants: ${some}${slugs.length > 3 ? ', …' : ''})`;
}
