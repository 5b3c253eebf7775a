/** Connections without fairness: all tenants wait in one queue, and the first may take all. */
import type { Connection, Target } from '../../src/postgres/connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from '../../src/postgres/connection_pool.ts';

const allTenants = 'all tenants';

export class UnfairPool extends ConnectionPool {
  constructor(open: (target: Target) => Promise<Connection>, limits: ConnectionPoolLimits) {
    const { connections, waiting } = limits;
    super(open, { ...limits, connectionsPerTenant: connections, waitingPerTenant: waiting });
  }

  override exclusive<Result>(
    target: Target,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return super.exclusive(target, allTenants, work);
  }

  override shared<Result>(
    target: Target,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return super.exclusive(target, allTenants, work);
  }
}
