/**
 * What a serving process does now and then: say that it is there, clear up after killed ones, count who is
 * behind, and write down where the chains of the audit trail are.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { bounds } from '../config.ts';
import {
  announceProcess,
  type Presence,
  withdrawProcess,
} from '../control_plane/migrations/processes.ts';
import {
  countEmails,
  countFleet,
  countTenants,
  type FleetFigures,
  type TenantCount,
} from '../control_plane/migrations/status.ts';
import { clearIdempotencyKeys } from '../control_plane/provisioning/idempotency_keys.ts';
import type { Log } from '../observability/log.ts';
import type { Services } from '../services.ts';

export class Maintenance {
  readonly #backstage: Services;
  readonly #log: Log;
  readonly #presence: Presence;
  readonly #timers: NodeJS.Timeout[];
  #renewal: Promise<void> = Promise.resolve();
  #figures: FleetFigures & { emails: { waiting: number; givenUp: number } } = {
    ...{ behind: 0, failed: 0, ahead: 0, unserved: 0, processes: 0, processesLeftBehind: 0 },
    emails: { waiting: 0, givenUp: 0 },
  };
  #tenants: readonly TenantCount[] = [];

  private constructor(backstage: Services, log: Log, presence: Presence) {
    this.#backstage = backstage;
    this.#log = log;
    this.#presence = presence;
    this.#timers = [
      setInterval(() => void this.#round(), bounds.upkeepEveryMs).unref(),
      setInterval(() => this.#renew(), bounds.processes.renewMs).unref(),
    ];
    void this.#round();
  }

  /** Begins at once, when this process is known to migrations. */
  static async begin(backstage: Services, log: Log, presence: Presence): Promise<Maintenance> {
    await announceProcess(backstage.control, presence);
    return new Maintenance(backstage, log, presence);
  }

  /** Tenants whose tables are not at the newest version, and emails not sent, as of the last round. */
  get figures() {
    return this.#figures;
  }

  /** Tenants by mode and status, as of the last round. */
  get tenants(): readonly TenantCount[] {
    return this.#tenants;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** After `close`: no migration waits for this process. Takes no longer than a shutdown can wait. */
  async withdraw(): Promise<void> {
    const { control } = this.#backstage;
    const withdrawn = this.#renewal
      .then(() => withdrawProcess(control, this.#presence.id))
      .catch((error) => this.#log.warn('process stays listed until it counts as gone', { error }));
    await Promise.race([withdrawn, pause(bounds.checkpoints.lastMs, undefined, { ref: false })]);
  }

  #renew(): void {
    this.#renewal = announceProcess(this.#backstage.control, this.#presence).catch((error) =>
      this.#log.warn('process could not be listed, will retry', { error }),
    );
  }

  /** Never rejects, and takes no longer than a shutdown can wait: requests need no checkpoint. */
  async checkpoint(): Promise<void> {
    const waits = (error: unknown) => this.#log.warn('audit checkpoints must wait', { error });
    const saved = this.#backstage.checkpoints.save().then((refuted) => {
      if (refuted.length === 0) return;
      const chains = refuted.slice(0, bounds.checkpoints.named).join();
      this.#log.error('audit trail was rewritten', { chains, count: refuted.length });
    }, waits);
    await Promise.race([saved, pause(bounds.checkpoints.lastMs, undefined, { ref: false })]);
  }

  async #round(): Promise<void> {
    const { onboarding, control } = this.#backstage;
    const waits = (error: unknown) => this.#log.warn('upkeep must wait', { error });
    await onboarding.recover().catch(waits);
    await this.#count().catch(waits);
    await clearIdempotencyKeys(control, bounds.idempotency).catch(waits);
    await this.checkpoint();
  }

  async #count(): Promise<void> {
    const { control, fleet } = this.#backstage;
    const counted = await countFleet(control, fleet.sql.tenant, this.#presence);
    this.#figures = { ...counted, emails: await countEmails(control) };
    this.#tenants = await countTenants(control);
  }
}
