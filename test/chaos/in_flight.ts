/**
 * When writes of unknown outcome are over. A write that the server has given up may still be
 * running in a backend, and a call without an answer may still be running in the server; once
 * Postgres has been down, neither can be.
 */
import { mainServer } from '../../src/kernel/tenant.ts';
import type { TenantModel } from './model.ts';
import type { Attempt } from './possible.ts';
import type { Whereabouts } from './whereabouts.ts';

/** The server no longer works on a request that arrived this long ago. */
const requestLifeMs = 15_000;

/** Long enough for every process to be notified of a change: it has to reconnect first. */
const hearsayMs = 3_000;

export class InFlightWrites {
  readonly #models: readonly TenantModel[];
  readonly #whereabouts: Whereabouts;
  /** If Postgres was down before; the server's caches are stale for a moment. */
  #heardOfMs = Number.NEGATIVE_INFINITY;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(models: readonly TenantModel[], whereabouts: Whereabouts) {
    this.#models = models;
    this.#whereabouts = whereabouts;
  }

  /** The Postgres of a server is down. A tenant's earlier placements are gone, or behind a fence. */
  note(server: string, nowMs: number): void {
    for (const { slug, pets } of this.#models) {
      if (!this.#whereabouts.areOn(slug, server)) continue;
      pets.settle((attempt) => isOver(attempt, nowMs));
    }
    if (server === mainServer) this.#noteAccounts(nowMs);
  }

  /** They are on the main server. */
  #noteAccounts(nowMs: number): void {
    if (nowMs - this.#latestMs > hearsayMs) this.#heardOfMs = this.#latestMs;
    this.#latestMs = nowMs;
    for (const model of this.#models) {
      model.settleUsers((attempt) => isOver(attempt, nowMs));
      model.settleKept((attempt) => isOver(attempt, this.#heardOfMs));
    }
  }
}

function isOver({ sentMs, answeredMs }: Attempt, downMs: number): boolean {
  return answeredMs === null ? sentMs < downMs - requestLifeMs : answeredMs < downMs;
}
