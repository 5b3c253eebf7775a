/**
 * Extrapolates the costs to ten and a hundred times as many tenants: straight lines through the measured
 * points. Nothing was measured there, and reports mark these figures.
 */
import type { IsolationModeName } from '../src/isolation/modes.ts';
import type { Result } from './result.ts';

export type Outlook = {
  mode: IsolationModeName;
  tenants: number;
  onboardingSeconds: number | null;
  migrationSeconds: number | null;
  diskBytes: number | null;
  catalogRows: number | null;
  /** Connections that keep every tenant warm. */
  connections: number;
  /** Private memory of these connections after each has served every tenant that it can. */
  backendBytes: number | null;
};

export const horizons = [10_000, 100_000] as const;

export function outlookOf(result: Result, mode: IsolationModeName, tenants: number): Outlook {
  const costs = result.costs.find((one) => one.mode === mode);
  const migration = result.migrations.find((one) => one.mode === mode);
  // Shared tenants are migrated together, without rewriting their rows.
  const perPlace = migration && migration.places > 0 ? migration.seconds / migration.places : null;
  const places = mode === 'shared' ? 1 : tenants;
  const connections = mode === 'database' ? tenants : result.settings.pool;
  const bytes = backendBytes(result, mode, tenants);
  return {
    mode,
    tenants,
    onboardingSeconds: costs ? tenants / costs.onboardedPerSecond : null,
    migrationSeconds: perPlace === null ? null : perPlace * places,
    diskBytes: costs ? costs.diskBytesPerTenant * tenants : null,
    catalogRows: costs ? costs.catalogRowsPerTenant * tenants : null,
    connections,
    backendBytes: bytes === null ? null : bytes * connections,
  };
}

/** Returns the number of tenants with which backends use so much memory; null when none does. */
export function tenantsWithin(
  result: Result,
  mode: IsolationModeName,
  bytes: number,
): number | null {
  const line = memoryLine(result, mode);
  if (!line) return null;
  const { pool } = result.settings;
  if (mode === 'database') return Math.floor(bytes / line.base);
  return line.slope <= 0 ? null : Math.floor((bytes / pool - line.base) / line.slope);
}

/** Memory of one connection. In database mode it serves one tenant only. */
function backendBytes(result: Result, mode: IsolationModeName, tenants: number): number | null {
  const line = memoryLine(result, mode);
  if (!line) return null;
  return mode === 'database' ? line.base : line.base + line.slope * tenants;
}

/** The line through the first and the last measured point. A slope below 1 kB is noise. */
function memoryLine({ memory }: Result, mode: IsolationModeName) {
  const seen = memory.filter((one) => one.mode === mode && one.bytesPerBackend !== null);
  const [first] = seen;
  const last = seen.at(-1);
  if (!first || !last) return null;
  const [low, high] = [first.bytesPerBackend ?? 0, last.bytesPerBackend ?? 0];
  if (mode === 'database' || last.tenants === first.tenants) return { base: high, slope: 0 };
  const slope = (high - low) / (last.tenants - first.tenants);
  const real = Math.max(0, slope) >= minSlope ? slope : 0;
  return { base: low - real * first.tenants, slope: real };
}

/** Bytes per tenant. A smaller slope is within the variation of a backend's memory. */
const minSlope = 1_024;
