/** The method and the machine of a run, so that readers can judge the figures. */
import type { Result } from '../result.ts';
import { type Section, section } from './document.ts';
import { bytes, count, digits, duration } from './numbers.ts';

const method = [
  'Kennel is the product as it is served (authentication, limits, metrics, log to a file, sealed contexts, audit all on), a process for each mode. Its statements do not go through postgres.js, unlike those of the baselines: the stage “connection” shows the difference. Baselines: bare is node:http and a constant; untenanted is node:http and postgres.js with a pool of the same size and “where tenant_id = $1 and id = $2” written out; textbook is the same with sql.begin, set_config and row security.',
  'Before a case is timed, its replies are compared with the stored rows. Rounds are interleaved (A B C, A B C, …) after the servers have been warmed up. Figures are medians over the rounds, with the lowest and the highest round; ratios are computed within a round. “None” means that the spread of a ratio includes 1: no difference was found. One error, timeout or reply other than 2xx voids a case.',
  "The load comes from autocannon in a process of its own, on the same machine. It uses a part of the processors; its CPU time is shown beside that of server and Postgres. Tenants without requests in a case still exist. Kennel and the baselines use the same transport to Postgres: a Unix socket for the embedded one, otherwise the URL's.",
];

export function methodSection({ machine, settings, startedAt, seconds }: Result): Section {
  const rows = [
    ['when', `${startedAt}, ${duration(seconds)}`],
    [
      'machine',
      `${machine.cpu}, ${machine.cores} cores, ${bytes(machine.memoryBytes)}, ${machine.system}`,
    ],
    [
      'load average before and after',
      `${digits(machine.loadBefore)}, ${digits(machine.loadAfter)}`,
    ],
    [
      'versions',
      `Kennel ${machine.kennel} (${machine.commit ?? 'no commit'}), Node ${machine.node}, PostgreSQL ${machine.postgres}, autocannon ${machine.autocannon}`,
    ],
    ['Postgres', `${settings.database}: ${settings.durability}`],
    [
      'rounds',
      `${roundsOf(settings)} of ${duration(settings.measureMs / 1_000)}, after ${duration(settings.warmupMs / 1_000)} of warm-up each`,
    ],
    [
      'unless varied',
      `${settings.connections} connections, ${count(settings.tenants)} tenants (database: ${settings.databasesWarm}), uniform, ${settings.pool} database connections per server`,
    ],
    ['suites', `${settings.suites.join(', ')}${settings.quick ? ' (quick)' : ''}`],
    ['seed', String(settings.seed)],
  ];
  return section('Method and machine', { text: method, tables: [{ columns: ['', ''], rows }] });
}

function roundsOf({ rounds, readRounds }: Result['settings']): string {
  return readRounds === rounds ? String(rounds) : `${rounds} (Read one: ${readRounds})`;
}
