/**
 * How long a restore of one tenant takes, and what the others notice: one of 1 000 tenants has 100 000 rows and is
 * restored in each mode by the command, while ten others send reads. Before it the same load runs without.
 *
 * `--tenants N`, `--rows N` of the tenant, `--others N` requests a second, `--seconds N` of the load without.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isolationModes } from '../../src/isolation/modes.ts';
import { type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { requestBytes, type Timed } from './keep_alive.ts';
import { quantile } from './quantile.ts';
import { type Cell, printTable } from './table.ts';
import { Users } from './users.ts';
import { withCluster } from './with_cluster.ts';

const bounds = { seconds: 30, othersRatio: 1.2 };

const options = {
  tenants: { type: 'string', default: '1000' },
  rows: { type: 'string', default: '100000' },
  others: { type: 'string', default: '100' },
  seconds: { type: 'string', default: '10' },
} as const;

type Setup = {
  url: string;
  folder: string;
  kennel: Kennel;
  users: Users;
  requests: string[];
  rate: number;
};

/** True when every restore is within its bounds, and no request of the others failed. */
export async function measureRestore(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options });
  const folder = await mkdtemp(join(tmpdir(), 'kennel-measure-'));
  try {
    return await withCluster(async (url) => {
      const users = await Users.start();
      const kennel = await startKennel(url);
      try {
        const requests = await makeOthers(kennel, Number(values.tenants));
        const setup = { url, folder, kennel, users, requests, rate: Number(values.others) };
        await makeTenant(setup, Number(values.rows));
        await load(setup, 3);
        const measured = [];
        for (const mode of isolationModes) {
          if (mode !== isolationModes[0]) await run(setup, ['move', 'large', '--to', mode]);
          measured.push(await measureIn(setup, mode, Number(values.seconds)));
        }
        printTable(
          head,
          measured.map(({ row }) => row),
        );
        return measured.every(({ isGood }) => isGood);
      } finally {
        users.stop();
        await kennel.stop();
      }
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const head = [
  'mode',
  'rows',
  'seconds',
  'writes waited ms',
  "others' p99",
  'with',
  'ratio',
  'failed',
];

/** @returns the requests of ten of them. */
async function makeOthers(kennel: Kennel, tenants: number): Promise<string[]> {
  const limitless = { requests_per_hour: 1_000_000_000, burst: 1_000_000_000 };
  await operatorOf(kennel)('PUT /api/admin/plans/limitless', limitless);
  const made: Onboarded[] = [];
  for (let at = 1; at < tenants; at += 1) {
    const isolation = at % 2 === 0 ? 'shared' : 'schema';
    const order = { isolation: at <= 10 ? isolation : 'shared', plan: 'limitless' };
    made.push(await onboard(kennel, `other-${at}`, order));
  }
  return made
    .slice(0, 10)
    .map(({ slug, apiKey }) =>
      requestBytes('GET /api/pets', { 'x-tenant-id': slug, authorization: `Bearer ${apiKey}` }),
    );
}

/** A tenant of pets and as many visits, and its archive. */
async function makeTenant(setup: Setup, rows: number): Promise<void> {
  const { id } = await onboard(setup.kennel, 'large', { isolation: 'shared', plan: 'limitless' });
  await lookInto(setup.url, async (sql) => {
    await sql`
      insert into shared.pets (tenant_id, id, name, species, breed)
      select ${id}::uuid, gen_random_uuid(), 'Pet ' || n, 'dog', 'Golden Retriever'
      from generate_series(1, ${Math.floor(rows / 2)}::int) as n`;
    await sql`
      insert into shared.visits (tenant_id, id, pet_id, visited_on, reason)
      select tenant_id, gen_random_uuid(), id, '2024-01-01', 'The yearly examination'
      from shared.pets where tenant_id = ${id}`;
  });
  await run(setup, ['export', 'large', join(setup.folder, 'large.gz')]);
}

async function run({ url, folder }: Setup, words: string[]) {
  const variables = { DATABASE_URL: url, ADMIN_TOKEN: adminToken, DATA_DIR: folder };
  const { code, out, err } = await runCommand('tenants', [...words, '--json'], variables);
  if (code !== 0) throw new Error(`Cannot measure: ${err}`);
  return JSON.parse(out);
}

async function load(
  { kennel, users, requests, rate }: Setup,
  seconds: number,
  over?: Promise<unknown>,
): Promise<Timed[]> {
  const { url } = kennel;
  const loads = [{ url, requests, perSecond: rate, seconds, connections: 50 }];
  const [done = []] = await users.run(loads, over);
  return done;
}

async function measureIn(setup: Setup, mode: string, seconds: number) {
  const alone = await load(setup, seconds);
  const startedMs = performance.now();
  const restoring = run(setup, ['restore', 'large', join(setup.folder, 'large.gz')]);
  const [{ rows, pause_ms: pauseMs }, during] = await Promise.all([
    restoring,
    load(setup, Infinity, restoring),
  ]);
  const took = (performance.now() - startedMs) / 1_000;
  const p99 = (answers: Timed[]) =>
    quantile(
      answers.map(({ ms }) => ms),
      0.99,
    );
  const ratio = p99(during) / p99(alone);
  const failed = [...alone, ...during].filter(({ status }) => status !== 200).length;
  const times = [p99(alone), p99(during)].map((ms) => Number(ms.toFixed(1)));
  const row: Cell[] = [
    ...[mode, rows, Number(took.toFixed(1)), pauseMs, ...times],
    ...[Number(ratio.toFixed(2)), failed],
  ];
  return { row, isGood: took <= bounds.seconds && ratio <= bounds.othersRatio && failed === 0 };
}
