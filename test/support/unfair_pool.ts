/** Lanes without fairness: everybody waits in one queue, and whoever comes first may take all. */
import type { Lane, Target } from '../../src/postgres/connection.ts';
import { LanePool, type LanePoolBounds } from '../../src/postgres/connection_pool.ts';

const everybody = 'everybody';

export class CommonQueue extends LanePool {
  constructor(open: (target: Target) => Promise<Lane>, bounds: LanePoolBounds) {
    const { lanes, waiting } = bounds;
    super(open, { ...bounds, lanesPerTenant: lanes, waitingPerTenant: waiting });
  }

  override use<Result>(
    target: Target,
    _tenant: string,
    work: (lane: Lane) => Promise<Result>,
  ): Promise<Result> {
    return super.use(target, everybody, work);
  }

  override share<Result>(
    target: Target,
    _tenant: string,
    work: (lane: Lane) => Promise<Result>,
  ): Promise<Result> {
    return super.use(target, everybody, work);
  }
}
