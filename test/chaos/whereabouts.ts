/** On which server each tenant's rows are. While a tenant moves, they may be on two. */
import { mainServer } from '../../src/kernel/tenant.ts';

/** The name of the server that is added. */
export const secondServer = 'second';

/** The servers of tenants in database mode. */
export const servers = [mainServer, secondServer] as const;

type Stay = { server: string; fromMs: number; toMs: number };

export class Whereabouts {
  readonly #stays = new Map<string, Stay[]>();

  /** From now on the tenant's rows may be there. */
  mayBe(slug: string, server: string, nowMs: number): void {
    const stay = { server, fromMs: nowMs, toMs: Number.POSITIVE_INFINITY };
    this.#stays.set(slug, [...this.#staysOf(slug), stay]);
  }

  /** From now on they are nowhere else. */
  is(slug: string, server: string, nowMs: number): void {
    for (const stay of this.#staysOf(slug)) {
      if (stay.server !== server) stay.toMs = Math.min(stay.toMs, nowMs);
    }
  }

  /** Whether they may have been there at some time within a span. */
  wereOn(slug: string, server: string, [fromMs, toMs]: readonly [number, number]): boolean {
    return this.#staysOf(slug).some(
      (stay) => stay.server === server && stay.fromMs <= toMs && stay.toMs >= fromMs,
    );
  }

  /** Whether they are there and nowhere else. */
  areOn(slug: string, server: string): boolean {
    const open = this.#staysOf(slug).filter(({ toMs }) => toMs === Number.POSITIVE_INFINITY);
    return open.every((stay) => stay.server === server);
  }

  #staysOf(slug: string): readonly Stay[] {
    return this.#stays.get(slug) ?? [];
  }
}
