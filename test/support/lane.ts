/** Bounds of a lane that suit tests: short where a test waits for them. */
import type { LaneBounds } from '../../src/postgres/lane.ts';

export const laneBounds: LaneBounds = {
  connectTimeoutMs: 3_000,
  statementTimeoutMs: 2_000,
  lockTimeoutMs: 500,
  idleInTransactionTimeoutMs: 3_000,
  callTimeoutMs: 4_000,
  statements: 100,
  answerBytes: 1_000_000,
  json: { chars: 100_000, depth: 32 },
};
