/**
 * What ten and a hundred times as many tenants would take, if all goes on as it began. These are
 * straight lines through what was measured, and nobody has been there: reports mark them as such.
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
  /** Private memory of these connections when each has met every tenant that it can meet. */
  backendBytes: number | null;
};

export const horizons = [10_000, 100_000] as const;

export function outlookOf(result: Result, mode: IsolationModeName, tenants: number): Outlook {
  const costs = result.costs.find((one) => one.mode === mode);
  const migration = result.migrations.find((one) => one.mode === mode);
  // Shared tenants are migrated as one place, whose rows are not rewritten.
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

/** Tenants with which the backends of one server take so much memory; null when it never comes. */
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

/** Of one connection. In database mode it has met one tenant, and will meet no other. */
function backendBytes(result: Result, mode: IsolationModeName, tenants: number): number | null {
  const line = memoryLine(result, mode);
  if (!line) return null;
  return mode === 'database' ? line.base : line.base + line.slope * tenants;
}

/** Through the first and the last measured point; a slope within the noise of 1 kB is none. */
function memoryLine({ memory }: Result, mode: IsolationModeName) {
  const seen = memory.filter((one) => one.mode === mode && one.bytesPerBackend !== null);
  const [first] = seen;
  const last = seen.at(-1);
  if (!first || !last) return null;
  const [low, high] = [first.bytesPerBackend ?? 0, last.bytesPerBackend ?? 0];
  if (mode === 'database' || last.tenants === first.tenants) return { base: high, slope: 0 };
  const slope = (high - low) / (last.tenants - first.tenants);
  const real = Math.max(0, slope) >= leastSlope ? slope : 0;
  return { base: low - real * first.tenants, slope: real };
}

/** In bytes per tenant: less is what a backend allocates one way or the other. */
const leastSlope = 1_024;
