/** What a serving process does now and then: clear up after killed ones, and count who is behind. */
import type { Backstage } from './backstage.ts';
import { bounds } from './config.ts';
import { countBehind } from './fleet/standings.ts';
import type { Log } from './log.ts';

export class Upkeep {
  readonly #backstage: Backstage;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #behind = { behind: 0, failed: 0 };

  /** Begins at once. */
  constructor(backstage: Backstage, log: Log) {
    this.#backstage = backstage;
    this.#log = log;
    this.#timer = setInterval(() => void this.#round(), bounds.upkeepEveryMs).unref();
    void this.#round();
  }

  /** Tenants whose tables are not at the newest version, as of the last round. */
  get figures() {
    return this.#behind;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #round(): Promise<void> {
    const { onboarding, control, fleet } = this.#backstage;
    const waits = (error: unknown) => this.#log.warn('upkeep must wait', { error });
    await onboarding.recover().catch(waits);
    await countBehind(control, fleet.sql.tenant.length)
      .then((behind) => {
        this.#behind = behind;
      })
      .catch(waits);
  }
}
