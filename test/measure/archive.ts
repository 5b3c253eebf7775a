/**
 * How fast a tenant is exported and imported, and how much memory that takes: a million rows, half of them
 * pets and half visits; `--rows N` for another number. Each direction runs in a process of its own, as the
 * command does, and its memory is the peak of that process above the peak with a tenant of one row.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeScript } from '../../bench/node_script.ts';
import { readConfig } from '../../src/config.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { parseSlug } from '../../src/kernel/tenant.ts';
import { openServices, type Services } from '../../src/services.ts';
import { lookInto } from '../support/sql.ts';
import { print, printTable } from './table.ts';
import { withCluster } from './with_cluster.ts';

const bounds = { exportPerSecond: 50_000, importPerSecond: 25_000, memoryMiB: 64 };

type Run = { seconds: number; peakMiB: number };

/** True when all bounds hold. */
export async function measureArchive(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options: { rows: { type: 'string' } } });
  const rows = Number(values.rows ?? 1_000_000);
  if (!Number.isInteger(rows) || rows < 2) {
    throw new Error('Cannot use --rows: expected an integer of at least 2');
  }
  const folder = await mkdtemp(join(tmpdir(), 'kennel-measure-'));
  try {
    return await withCluster((url) => measureIn(folder, url, rows));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureIn(folder: string, url: string, rows: number): Promise<boolean> {
  const services = await openServices(readConfig({ DATABASE_URL: url }), url);
  await makeTenant(services, 'small', 0);
  await makeTenant(services, 'large', rows);
  services.close();
  const file = (name: string) => join(folder, `${name}.gz`);
  const run = (words: string[]) => tenants(url, folder, words);
  const small = await run(['export', 'small', file('small')]);
  const exported = await run(['export', 'large', file('large')]);
  const lines = [lineOf('export', { rows, run: exported, base: small })];
  const imports: Run[] = [];
  for (const mode of isolationModes) {
    const into = (name: string) => [
      ...['import', file(name), '--slug', `${name}-${mode}`, '--isolation', mode],
    ];
    const base = await run(into('small'));
    const imported = await run(into('large'));
    imports.push({
      seconds: imported.seconds - base.seconds,
      peakMiB: imported.peakMiB - base.peakMiB,
    });
    lines.push(lineOf(`import, ${mode} mode`, { rows, run: imported, base }));
  }
  const { size } = await stat(file('large'));
  print(`${rows} rows, ${Math.round(size / 2 ** 20)} MiB compressed\n`);
  printTable(['', 'rows/s', 'seconds', 'MiB above a small tenant'], lines);
  return (
    rows / (exported.seconds - small.seconds) >= bounds.exportPerSecond &&
    exported.peakMiB - small.peakMiB <= bounds.memoryMiB &&
    imports.every(
      ({ seconds, peakMiB }) =>
        rows / seconds >= bounds.importPerSecond && peakMiB <= bounds.memoryMiB,
    )
  );
}

function lineOf(name: string, { rows, run, base }: { rows: number; run: Run; base: Run }) {
  const seconds = run.seconds - base.seconds;
  const perSecond = Math.round(rows / seconds);
  return [name, perSecond, Number(seconds.toFixed(1)), Math.round(run.peakMiB - base.peakMiB)];
}

async function makeTenant({ onboarding, fleet }: Services, name: string, rows: number) {
  const slug = parseSlug(name);
  if (!slug) throw new Error(`Cannot use "${name}": it is no slug`);
  const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
  const order = { slug, name, plan: 'free', isolation: 'shared', adminEmail: 'a@example.com' };
  const { tenant } = await onboarding.create(order, meta);
  await lookInto(fleet.installation.adminUrl, async (sql) => {
    await sql`
      insert into shared.pets (tenant_id, id, name, species, breed, birth_date)
      select ${tenant.id}, gen_random_uuid(), 'Pet number ' || at, 'dog', 'Golden Retriever',
        date '2020-01-01' + at % 2000
      from generate_series(1, ${Math.floor(rows / 2)}::int) as at`;
    await sql`
      insert into shared.visits (tenant_id, id, pet_id, visited_on, reason)
      select ${tenant.id}, gen_random_uuid(), id, '2026-01-02', 'Yearly check of ' || name
      from shared.pets
      where tenant_id = ${tenant.id} and id <> ${tenant.id}`;
  });
}

/** Runs `npm run tenants` in a process that reports its peak of memory. */
async function tenants(url: string, folder: string, words: string[]): Promise<Run> {
  const startedMs = performance.now();
  const { PATH = '' } = process.env;
  const child = spawn(
    process.execPath,
    [...nodeScript('test/measure/archive_process.ts'), ...words, '--json'],
    {
      env: { PATH, DATABASE_URL: url, ADMIN_TOKEN: 'x'.repeat(32), DATA_DIR: folder },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    },
  );
  let peakMiB = 0;
  child.on('message', (peakKiB) => {
    peakMiB = Number(peakKiB) / 1_024;
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`Cannot measure: tenants ${words[0]} ended with ${code}`);
  return { seconds: (performance.now() - startedMs) / 1_000, peakMiB };
}
