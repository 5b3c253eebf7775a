/**
 * Brings all tenants to the newest schema version, place by place: the shared schema is one place
 * with many tenants, every other tenant has its own. A place that fails is named and parked; the
 * others are done, and a second run touches only what is left.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from '../../kernel/ports.ts';
import type { IsolationMode, Slug } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { codeOf } from '../../postgres/errors.ts';
import { type Placement, placementOf } from '../../postgres/installation.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { upgradePlace } from '../provisioning/place.ts';
import { assertFilesUnedited, recordFile } from './checksums.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { assertAllCanGoOn, readProcesses } from './processes.ts';
import { assertUnedited } from './schema_migrator.ts';
import { readStatus } from './status.ts';

export type MigrateOptions = {
  /** Only the place of this tenant; in shared mode that is all tenants of the shared schema. */
  slug: string | null;
  /** So many places go first, one by one; when one of them fails, the rest is not touched. */
  canary: number;
  /** Places at the same time. */
  concurrency: number;
  lockAttempts: number;
  lockRetryMs: number;
  /** A serving process that was not seen for so long counts as gone. */
  goneAfterMs: number;
  onProgress: (progress: Progress) => void;
};

/** A place that is behind, and whom it concerns; its version rises while it is migrated. */
export type Pending = {
  place: Placement;
  isolation: IsolationMode;
  tenants: Slug[];
  version: number;
};

export type Progress = { done: number; of: number; name: string; error: string | null };

export type Outcome = { migrated: number; failed: { name: string; error: string }[]; left: number };

/**
 * Migrates what is behind.
 *
 * @throws {Error} when a file was edited, the tenant is unknown, another migration is running, or a process
 *   that serves could not go on; nothing has been touched then.
 */
export async function migrateFleet(
  fleet: Fleet,
  control: Db,
  jobs: ConnectionPool,
  options: MigrateOptions,
): Promise<Outcome> {
  const { installation } = fleet;
  const target = installation.adminTarget(installation.database);
  const outcome = await jobs.exclusive(target, 'migrate', (connection) =>
    tryWithLock(connection, 'migrate', () => new Run(fleet, control, options).all()),
  );
  if (outcome) return outcome;
  throw new Error('Cannot migrate: another migration is running');
}

class Run {
  readonly #fleet: Fleet;
  readonly #control: Db;
  readonly #options: MigrateOptions;
  readonly #outcome: Outcome = { migrated: 0, failed: [], left: 0 };
  #total = 0;

  constructor(fleet: Fleet, control: Db, options: MigrateOptions) {
    this.#fleet = fleet;
    this.#control = control;
    this.#options = options;
  }

  async all(): Promise<Outcome> {
    const { canary, concurrency } = this.#options;
    await assertFilesUnedited(this.#control, this.#fleet.sql.tenant);
    const pending = await pendingPlaces(this.#fleet, this.#options.slug);
    await this.#assertServersCanGoOn(pending);
    this.#total = pending.length;
    const canaries = pending.splice(0, canary);
    await this.#drain(canaries, 1);
    if (this.#outcome.failed.length === 0) await this.#drain(pending, concurrency);
    return { ...this.#outcome, left: pending.length };
  }

  async #assertServersCanGoOn(pending: readonly Pending[]): Promise<void> {
    const lowest = Math.min(...pending.map(({ version }) => version));
    const required = requiredBy(this.#fleet.sql.tenant.slice(lowest));
    if (required === 0) return;
    assertAllCanGoOn(await readProcesses(this.#control, this.#options.goneAfterMs), required);
  }

  /** Takes places off the list until it is empty, so many at the same time. */
  async #drain(pending: Pending[], workers: number): Promise<void> {
    const work = async () => {
      for (let next = pending.shift(); next; next = pending.shift()) await this.#migrate(next);
    };
    await Promise.all(Array.from({ length: workers }, work));
  }

  async #migrate(pending: Pending): Promise<void> {
    const name = nameOf(pending);
    const error = await this.#attempt(pending);
    await this.#note(pending, error);
    if (error === null) this.#outcome.migrated += 1;
    else this.#outcome.failed.push({ name, error });
    const done = this.#outcome.migrated + this.#outcome.failed.length;
    this.#options.onProgress({ done, of: this.#total, name, error });
  }

  /** What went wrong, or null. A lock that did not come is waited for again, from a distance. */
  async #attempt(pending: Pending): Promise<string | null> {
    const { place } = pending;
    const { admin, installation } = this.#fleet;
    const { lockAttempts, lockRetryMs } = this.#options;
    const target = installation.adminTarget(place.database);
    const onApplied = async (file: Migration) => {
      pending.version = file.version;
      await recordFile(this.#control, file);
    };
    const upgrade = (connection: Connection) =>
      upgradePlace(connection, { fleet: this.#fleet, place, onApplied });
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

  /** The registry's copy of the version: it lets a run that finds nothing to do end with one query. */
  async #note({ tenants, version }: Pending, error: string | null): Promise<void> {
    // What is there already when a further file fails counts too: servers must know it.
    const reached = error === null ? this.#fleet.sql.tenant.length : version;
    await this.#control`
      update control.tenants
      set schema_version = greatest(schema_version, ${reached}), migration_error = ${error}
      where slug = any (${tenants})`;
  }
}

/** The places that are behind; the shared one last, because it concerns the most tenants. */
async function pendingPlaces(fleet: Fleet, slug: string | null): Promise<Pending[]> {
  const newest = fleet.sql.tenant.length;
  const { tenants, sharedLedger } = await readStatus(fleet);
  assertUnedited(sharedLedger, fleet.sql.tenant);
  if (slug !== null && !tenants.some((tenant) => tenant.slug === slug)) {
    throw new Error(`Cannot migrate "${slug}": there is no such tenant`);
  }
  const own = tenants
    .filter(({ isolation, version }) => isolation !== 'shared' && version < newest)
    .map((tenant) => ({
      place: placementOf(fleet.installation, tenant),
      isolation: tenant.isolation,
      tenants: [tenant.slug],
      version: tenant.version,
    }));
  const sharing = tenants.filter(({ isolation }) => isolation === 'shared');
  const version = Math.min(sharedLedger.length, ...sharing.map((tenant) => tenant.version));
  const shared: Pending = {
    place: fleet.installation.shared,
    isolation: 'shared',
    tenants: sharing.map((tenant) => tenant.slug),
    version,
  };
  const behind = version < newest ? [...own, shared] : own;
  return slug === null
    ? behind
    : behind.filter((pending) => pending.tenants.some((s) => s === slug));
}

function nameOf({ isolation, tenants }: Pending): string {
  if (isolation !== 'shared') return tenants.join();
  const some = tenants.slice(0, 3).join(', ');
  return `shared (${tenants.length} tenants: ${some}${tenants.length > 3 ? ', …' : ''})`;
}

function causeOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  return error.cause instanceof Error ? error.cause : error;
}
