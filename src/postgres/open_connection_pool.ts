/** The one way in which the product makes its pools: connections of one kind, and how many. */
import { Connection, type ConnectionLimits } from './connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from './connection_pool.ts';
import type { UnterminatedOptions } from './unterminated_backends.ts';

/** @param unterminated as `ConnectionPool` takes it. */
export function openConnectionPool(
  connection: ConnectionLimits,
  size: ConnectionPoolLimits,
  unterminated?: UnterminatedOptions,
): ConnectionPool {
  return new ConnectionPool((url) => Connection.open(url, connection), size, unterminated);
}
