/**
 * When writes without an outcome are over. A write that the server has given up may still be in the
 * hands of a backend, and a call without an answer in the server's; when Postgres has been down
 * since, neither can be.
 */
import type { TenantModel } from './model.ts';
import type { Attempt } from './possible.ts';

/** The server does nothing any more for a request that came this long ago. */
const requestLifeMs = 15_000;

/** Until every process has heard of a change, with room: it has to reconnect first. */
const hearsayMs = 3_000;

export class InFlightWrites {
  readonly #models: readonly TenantModel[];
  /** When Postgres was down before; what the server keeps in memory is behind for a moment. */
  #heardOfMs = Number.NEGATIVE_INFINITY;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(models: readonly TenantModel[]) {
    this.#models = models;
  }

  /** Postgres is down. */
  note(nowMs: number): void {
    if (nowMs - this.#latestMs > hearsayMs) this.#heardOfMs = this.#latestMs;
    this.#latestMs = nowMs;
    for (const model of this.#models) {
      model.settle((attempt) => isOver(attempt, nowMs));
      model.settleKept((attempt) => isOver(attempt, this.#heardOfMs));
    }
  }
}

function isOver({ sentMs, answeredMs }: Attempt, downMs: number): boolean {
  return answeredMs === null ? sentMs < downMs - requestLifeMs : answeredMs < downMs;
}
