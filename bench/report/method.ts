/** How the figures came about, and on what: what a reader needs to trust them, or to doubt them. */
import type { Result } from '../result.ts';
import { type Section, section } from './document.ts';
import { bytes, count, digits, duration } from './numbers.ts';

const method = [
  'Kennel is the product as it is served (authentication, limits, metrics, log to a file, sealed contexts, audit all on), a process for each mode. Its statements do not go through postgres.js, as those of the baselines do: what that makes is the stage “connection”. Baselines: bare is node:http and a constant; untenanted is node:http and postgres.js with a pool of the same size and “where tenant_id = $1 and id = $2” written out; textbook is the same with sql.begin, set_config and row security.',
  'Before a case is timed its answers are compared with what was stored. Rounds are interleaved (A B C, A B C, …) after a run-in and a warm-up. Figures are medians over the rounds with the lowest and highest; ratios are taken pair by pair within a round. Where the spread of a ratio includes 1 it says “none”: no difference was found. One error, timeout or answer other than 2xx voids a case.',
  'Load comes from autocannon in a process of its own, on the same machine: it takes its share of the processors, and its CPU time is shown beside that of server and Postgres. Tenants that do not take part in a case are there all the same. Kennel and the baselines reach Postgres the same way: the embedded one by its Unix socket, another as its URL says.',
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
