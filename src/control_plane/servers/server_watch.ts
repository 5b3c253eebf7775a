/**
 * Ends work on servers that hang. Control plane statements may take minutes, so a long one proves nothing;
 * meanwhile it holds locks and connections that the tenants of other servers need. So while there is work on an
 * added server, sessions of their own find out whether it still answers.
 */
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Fleet } from '../fleet.ts';
import { answers, serverDown } from './probe.ts';

/** How often the servers are looked at, and after how many failures in a row the work there ends. */
export type ServerWatchLimits = { everyMs: number; failures: number };

type Pool = Pick<ConnectionPool, 'isBusyOn' | 'abandon'>;

export class ServerWatch {
  readonly #fleet: Fleet;
  readonly #pools: Pool[];
  readonly #limits: ServerWatchLimits;
  readonly #timer: NodeJS.Timeout;
  /** By the name of the server. */
  readonly #failures = new Map<string, number>();
  #isLooking = false;

  constructor(fleet: Fleet, pools: readonly Pool[], limits: ServerWatchLimits) {
    this.#fleet = fleet;
    this.#pools = [...pools];
    this.#limits = limits;
    this.#timer = setInterval(() => void this.look(), limits.everyMs).unref();
  }

  /** Work of these pools is ended, too. */
  add(...pools: readonly Pool[]): void {
    this.#pools.push(...pools);
  }

  /** Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { addedServers } = this.#fleet.installation;
    await Promise.allSettled(addedServers.map((server) => this.#lookAt(server)));
    this.#isLooking = false;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #lookAt(server: string): Promise<void> {
    const isBusy = this.#pools.some((pool) => pool.isBusyOn(server));
    const failures = isBusy ? await this.#failuresOf(server) : 0;
    this.#failures.set(server, failures);
    if (failures < this.#limits.failures) return;
    const reason = serverDown({ server, reason: 'it does not answer any more' });
    for (const pool of this.#pools) pool.abandon(server, reason);
  }

  async #failuresOf(server: string): Promise<number> {
    if (await answers(this.#fleet, server)) return 0;
    return (this.#failures.get(server) ?? 0) + 1;
  }
}
