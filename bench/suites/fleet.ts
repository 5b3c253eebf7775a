/**
 * Times the migration of all tenants: one more column, with the product's own code. This suite is the last
 * one, because the servers of the lab do not know the new version.
 */

import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { migrateFleet } from '../../src/control_plane/migrations/migrate.ts';
import { readMigrations } from '../../src/control_plane/migrations/migration_files.ts';
import { type IsolationModeName, isolationModes } from '../../src/isolation/modes.ts';
import { limits } from '../../src/limits.ts';
import { openServices } from '../../src/services.ts';
import type { Lab } from '../lab.ts';
import type { Migration } from '../result.ts';

/** The default of `npm run migrate`. */
const concurrency = 4;

const migration = `-- An unused column, to time its migration. Run by the owner role.
alter table pets add column bench_note text;
`;

export async function timeMigrations(lab: Lab): Promise<Migration[]> {
  const { cluster, folder, progress, loadTenants } = lab;
  progress.phase('migrate all tenants');
  const own = readConfig({ DATABASE_URL: cluster.url, DATA_DIR: folder });
  const config = { ...own, sqlFolder: await withOneMore(own.sqlFolder, folder) };
  const services = await openServices(config, cluster.url);
  const ends: Record<IsolationModeName, number> = { shared: 0, schema: 0, database: 0 };
  const startedAt = performance.now();
  try {
    const { failed } = await migrateFleet(services.fleet, services.control, services.jobLocks, {
      ...limits.migrations,
      heartbeatTimeoutMs: limits.processes.heartbeatTimeoutMs,
      canary: 0,
      concurrency,
      onProgress: ({ done, of, name }) => {
        progress.step(done, of);
        ends[modeIn(name)] = performance.now() - startedAt;
      },
    });
    const [first] = failed;
    if (first) throw new Error(`Cannot migrate ${first.name}: ${first.error}`);
  } finally {
    services.close();
  }
  // Placements come in the order of slugs, which begin with the mode; the shared one is the last.
  const order = isolationModes
    .filter((mode) => ends[mode] > 0)
    .toSorted((a, b) => Number(a === 'shared') - Number(b === 'shared') || (a < b ? -1 : 1));
  return order.map((mode, at) => {
    const before = order[at - 1];
    const seconds = (ends[mode] - (before ? ends[before] : 0)) / 1_000;
    const tenants = loadTenants[mode].length;
    return { mode, tenants, places: mode === 'shared' ? 1 : tenants, seconds };
  });
}

/** Returns a copy of the product's SQL folder, with one more migration. */
async function withOneMore(sqlFolder: string, folder: string): Promise<string> {
  const copy = join(folder, 'sql');
  await mkdir(copy);
  await cp(sqlFolder, copy, { recursive: true });
  const tenant = join(copy, 'tenant');
  const next = (await readMigrations(tenant)).length + 1;
  await writeFile(join(tenant, `${String(next).padStart(3, '0')}_bench_note.sql`), migration);
  return copy;
}

function modeIn(name: string): IsolationModeName {
  if (name.startsWith('database-')) return 'database';
  return name.startsWith('schema-') ? 'schema' : 'shared';
}
