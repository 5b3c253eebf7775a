/**
 * The periodic work of a serving process: it announces itself, undoes or completes the work of killed processes,
 * counts tenants and emails, forgets deleted ones, deletes old idempotency keys, and saves checkpoints of the
 * audit chains.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  announceProcess,
  type Heartbeat,
  withdrawProcess,
} from '../control_plane/migrations/processes.ts';
import {
  countEmails,
  countFleet,
  countTenants,
  type FleetCounts,
  type TenantCount,
} from '../control_plane/migrations/status.ts';
import { clearIdempotencyKeys } from '../control_plane/provisioning/idempotency_keys.ts';
import { limits } from '../limits.ts';
import type { Log } from '../observability/log.ts';
import type { Services } from '../services.ts';

/** The metric series of tenants, by slug: at most `limits.metrics.tenants`. */
export type TenantLabels = { names(): string[]; forget(slug: string): void };

type MaintenanceOptions = { log: Log; heartbeat: Heartbeat; labels: TenantLabels };

export class Maintenance {
  readonly #services: Services;
  readonly #labels: TenantLabels;
  readonly #log: Log;
  readonly #heartbeat: Heartbeat;
  readonly #timers: NodeJS.Timeout[];
  #renewal: Promise<void> = Promise.resolve();
  #stats: FleetCounts & { emails: { waiting: number; givenUp: number } } = {
    ...{ behind: 0, failed: 0, ahead: 0, unserved: 0, processes: 0, processesLeftBehind: 0 },
    emails: { waiting: 0, givenUp: 0 },
  };
  #tenants: readonly TenantCount[] = [];
  /** The tasks of rounds that run. */
  readonly #running = new Set<string>();
  #isClosed = false;

  private constructor(services: Services, { log, heartbeat, labels }: MaintenanceOptions) {
    this.#services = services;
    this.#labels = labels;
    this.#log = log;
    this.#heartbeat = heartbeat;
    this.#timers = [
      setInterval(() => void this.#round(), limits.maintenanceIntervalMs).unref(),
      setInterval(() => this.#renew(), limits.processes.heartbeatMs).unref(),
    ];
    void this.#round();
  }

  /** Announces this process to migrations, and starts the first round. */
  static async start(services: Services, options: MaintenanceOptions): Promise<Maintenance> {
    await announceProcess(services.control, options.heartbeat);
    return new Maintenance(services, options);
  }

  /** Tenants by state of their migrations, and unsent emails, as of the last round. */
  get stats() {
    return this.#stats;
  }

  /** Tenants by mode and status, as of the last round. */
  get tenants(): readonly TenantCount[] {
    return this.#tenants;
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** To be called after `close`. Migrations no longer wait for this process. Bounded in time. */
  async withdraw(): Promise<void> {
    const { control } = this.#services;
    const withdrawn = this.#renewal
      .then(() => withdrawProcess(control, this.#heartbeat.id))
      .catch((error) => this.#log.warn('heartbeat could not be removed, will expire', { error }));
    await Promise.race([
      withdrawn,
      pause(limits.checkpoints.shutdownMs, undefined, { ref: false }),
    ]);
  }

  #renew(): void {
    this.#renewal = announceProcess(this.#services.control, this.#heartbeat).catch((error) =>
      this.#log.warn('heartbeat could not be written, will retry', { error }),
    );
  }

  /** Saves checkpoints. Never rejects, and is bounded in time, so that a shutdown does not hang. */
  async checkpoint(): Promise<void> {
    const logFailure = (error: unknown) =>
      this.#log.warn('audit checkpoints could not be written, will retry', { error });
    const saved = this.#services.checkpoints.save().then((refuted) => {
      if (refuted.length === 0) return;
      const chains = refuted.slice(0, limits.checkpoints.named).join();
      this.#log.error('audit trail was rewritten, run "npm run doctor -- verify-audit"', {
        chains,
        count: refuted.length,
      });
    }, logFailure);
    await Promise.race([saved, pause(limits.checkpoints.shutdownMs, undefined, { ref: false })]);
  }

  /** A task that still runs, for minutes perhaps, is skipped, and does not hold up the others. */
  async #round(): Promise<void> {
    const { onboarding, moves, control } = this.#services;
    await this.#unlessRunning('moves', () => moves.recover());
    await this.#unlessRunning('onboarding', () => onboarding.recover());
    await this.#unlessRunning('counts', () => this.#count());
    await this.#unlessRunning('labels', () => this.#forgetDeleted());
    await this.#unlessRunning('keys', () => clearIdempotencyKeys(control, limits.idempotency));
    await this.#unlessRunning('checkpoints', () => this.checkpoint());
  }

  /** Never rejects. */
  async #unlessRunning(task: string, work: () => Promise<unknown>): Promise<void> {
    if (this.#running.has(task) || this.#isClosed) return;
    this.#running.add(task);
    try {
      await work();
    } catch (error) {
      if (!this.#isClosed) this.#log.warn('maintenance failed, will retry', { task, error });
    } finally {
      this.#running.delete(task);
    }
  }

  /** Tenants may be deleted by another process, or by a command. */
  async #forgetDeleted(): Promise<void> {
    const names = this.#labels.names();
    const rows = await this.#services.control<{ slug: string }>`
      select slug from control.tenants where slug = any (${names})`;
    const known = new Set(rows.map(({ slug }) => slug));
    for (const name of names) if (!known.has(name)) this.#labels.forget(name);
  }

  async #count(): Promise<void> {
    const { control, fleet } = this.#services;
    const counted = await countFleet(control, fleet.sql.tenant, this.#heartbeat);
    this.#stats = { ...counted, emails: await countEmails(control) };
    this.#tenants = await countTenants(control);
  }
}
