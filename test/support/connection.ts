/** Limits of a connection for tests: short if a test waits for them. */
import type { ConnectionLimits } from '../../src/postgres/connection.ts';
import type { NotificationListenerLimits } from '../../src/postgres/notification_listener.ts';

export const connectionLimits: ConnectionLimits = {
  connectTimeoutMs: 3_000,
  statementTimeoutMs: 2_000,
  lockTimeoutMs: 500,
  idleInTransactionTimeoutMs: 3_000,
  callTimeoutMs: 4_000,
  statements: 100,
  answerBytes: 1_000_000,
  json: { chars: 100_000, depth: 32 },
  startupBytes: 65_536,
  scramIterations: 100_000,
};

export const listenerLimits: NotificationListenerLimits = {
  ...connectionLimits,
  messageBytes: 65_536,
  retryAfterMs: 5,
  probeMs: 5_000,
};
