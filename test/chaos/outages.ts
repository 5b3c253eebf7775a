/**
 * Which refused calls the faults explain. A fault of the second server explains those of its own tenants; a move
 * or a restore explains none.
 */
import type { Fault } from './faults.ts';
import type { Pauses } from './pauses.ts';
import { secondServer, type Whereabouts } from './whereabouts.ts';

/** A call that was answered with 503, or not at all. */
export type Refused = { what: string; slug: string; sentMs: number; endedMs: number };

/** The tenants whose calls may be refused. */
const harmed: Readonly<Record<Fault['track'], 'all' | 'its own' | 'none'>> = {
  database: 'all',
  servers: 'its own',
  redis: 'none',
  clients: 'all',
  moves: 'none',
  restores: 'none',
};

/** Tenants have an answer again this long after the end of a fault, on a busy machine too. */
const graceMs = 3_000;

export class Outages {
  readonly #ended: { track: Fault['track']; fromMs: number; toMs: number }[] = [];

  ended(track: Fault['track'], fromMs: number, toMs: number): void {
    this.#ended.push({ track, fromMs, toMs: toMs + graceMs });
  }

  explain(
    { slug, sentMs, endedMs }: Refused,
    { whereabouts, pauses }: { whereabouts: Whereabouts; pauses: Pauses },
  ): boolean {
    const isThere = whereabouts.wereOn(slug, secondServer, [sentMs, endedMs]);
    const explained = this.#ended.some(({ track, fromMs, toMs }) => {
      const isHarmed = harmed[track] === 'all' || (harmed[track] === 'its own' && isThere);
      return isHarmed && fromMs <= endedMs && toMs >= sentMs;
    });
    return explained || pauses.ranMs(sentMs - graceMs, endedMs) < endedMs - sentMs + graceMs;
  }
}
