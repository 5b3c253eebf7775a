/** Connections without fairness: all tenants wait in one queue, and the first may take all. */
import type { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from '../../src/postgres/connection_pool.ts';
import type { SessionUrl } from '../../src/postgres/session_url.ts';

const allTenants = 'all tenants';

export class UnfairPool extends ConnectionPool {
  constructor(open: (url: SessionUrl) => Promise<Connection>, limits: ConnectionPoolLimits) {
    const { connections, waiting } = limits;
    super(open, { ...limits, connectionsPerTenant: connections, waitingPerTenant: waiting });
  }

  override exclusive<Result>(
    url: SessionUrl,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return super.exclusive(url, allTenants, work);
  }

  override shared<Result>(
    url: SessionUrl,
    _tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return super.exclusive(url, allTenants, work);
  }
}
