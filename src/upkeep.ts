/**
 * What a serving process does now and then: clear up after killed ones, count who is behind, and
 * write down where the chains of the audit trail are.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { countEmails } from './adapters/mail/postgres_outbox.ts';
import type { Backstage } from './backstage.ts';
import { bounds } from './config.ts';
import { clearIdempotencyKeys } from './fleet/idempotency_keys.ts';
import { countBehind, countTenants, type TenantCount } from './fleet/standings.ts';
import type { Db } from './kernel/ports.ts';
import type { Log } from './log.ts';

export class Upkeep {
  readonly #backstage: Backstage;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #figures = { behind: 0, failed: 0, emails: { waiting: 0, givenUp: 0 } };
  #tenants: readonly TenantCount[] = [];

  /** Begins at once. */
  constructor(backstage: Backstage, log: Log) {
    this.#backstage = backstage;
    this.#log = log;
    this.#timer = setInterval(() => void this.#round(), bounds.upkeepEveryMs).unref();
    void this.#round();
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
    clearInterval(this.#timer);
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
    const { onboarding, control, fleet } = this.#backstage;
    const waits = (error: unknown) => this.#log.warn('upkeep must wait', { error });
    await onboarding.recover().catch(waits);
    await this.#count(control, fleet.sql.tenant.length).catch(waits);
    await clearIdempotencyKeys(control, bounds.idempotency).catch(waits);
    await this.checkpoint();
  }

  async #count(control: Db, newest: number): Promise<void> {
    const behind = await countBehind(control, newest);
    this.#figures = { ...behind, emails: await countEmails(control) };
    this.#tenants = await countTenants(control);
  }
}
