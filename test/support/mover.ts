/** A process that moves tenants, without the tests: they print when a process has ended. */
import { randomUUID } from 'node:crypto';
import type { MoveLimits } from '../../src/control_plane/moves/job.ts';
import { Moves } from '../../src/control_plane/moves/moves.ts';
import { limits } from '../../src/limits.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import type { Services } from '../../src/services.ts';

export type Mover = { moves: Moves; kill(): void };

/**
 * Moves tenants with connections of its own, until it is killed.
 *
 * @param control instead of that of the services.
 */
export function moverOf(
  { fleet, pools, ...services }: Services,
  control = services.control,
  changed: Partial<MoveLimits> = {},
): Mover {
  const movers = openConnectionPool(limits.moverConnection, limits.movers);
  const locks = openConnectionPool(limits.moverConnection, limits.moveLocks);
  const moves = new Moves({
    ...{ fleet, control, movers, locks, recoveryLocks: locks, serving: pools.serving },
    limits: { ...limits.moves, ...changed },
    ...{ newId: randomUUID, nowMs: () => performance.now(), recoveryBatchSize: 1 },
  });
  const kill = () => {
    for (const pool of [locks, movers]) pool.close();
  };
  return { moves, kill };
}
