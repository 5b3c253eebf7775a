/** On which server each tenant's rows are. While a tenant moves, they may be on two. */
import { mainServer } from '../../src/kernel/tenant.ts';

/** The name of the server that is added. */
export const secondServer = 'second';

/** The servers of tenants in database mode. */
export const servers = [mainServer, secondServer] as const;

type Period = { server: string; fromMs: number; toMs: number };

export class Whereabouts {
  readonly #periods = new Map<string, Period[]>();

  /** From now on the tenant's rows may be there. */
  mayBe(slug: string, server: string, nowMs: number): void {
    const period = { server, fromMs: nowMs, toMs: Number.POSITIVE_INFINITY };
    this.#periods.set(slug, [...this.#periodsOf(slug), period]);
  }

  /** From now on they are nowhere else. */
  is(slug: string, server: string, nowMs: number): void {
    for (const period of this.#periodsOf(slug)) {
      if (period.server !== server) period.toMs = Math.min(period.toMs, nowMs);
    }
  }

  /** Whether they may have been there at some time within a span. */
  wereOn(slug: string, server: string, [fromMs, toMs]: readonly [number, number]): boolean {
    return this.#periodsOf(slug).some(
      (period) => period.server === server && period.fromMs <= toMs && period.toMs >= fromMs,
    );
  }

  /** Whether they are there and nowhere else. */
  areOn(slug: string, server: string): boolean {
    const open = this.#periodsOf(slug).filter(({ toMs }) => toMs === Number.POSITIVE_INFINITY);
    return open.every((period) => period.server === server);
  }

  #periodsOf(slug: string): readonly Period[] {
    return this.#periods.get(slug) ?? [];
  }
}
