/**
 * How much ten tenants notice of an eleventh that sends slow queries at 20 times its share: each of
 * the ten sends a number of requests a second, and the hog 20 times as many. Three kinds of rounds
 * take turns: without the hog, with the hog, and with the hog on a server with an unfair pool; so
 * any other load on the machine affects all three. The medians of the rounds are compared.
 *
 * `--mode shared|schema|database`, `--slow sleep|cpu`, `--seconds N` of each round, `--rounds N`;
 * `--rate N` requests a second of each of the ten, so that the hog alone could use all connections;
 * `--waiting N` tries another length of a tenant's queue.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { nodeScript } from '../../bench/node_script.ts';
import { limits } from '../../src/limits.ts';
import { type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { adminToken, type Kennel, startScript, type Variables } from '../support/kennel.ts';
import { requestBytes, type Timed } from './keep_alive.ts';
import { runClosed, runPaced } from './paced_load.ts';
import { quantile } from './quantile.ts';
import { print, printTable } from './table.ts';
import { withCluster } from './with_cluster.ts';

const victims = 10;
const timesItsShare = 20;
/** The largest allowed growth of a p99. */
const ratioBound = 1.5;
/** The hog's requests when the cost of shedding is measured. */
const floodPerSecond = 1_000;
/** Longer than any call of the hog waits, so that no request of a round is left in the next. */
const settleMs = 1_500;

const options = {
  mode: { type: 'string', default: 'shared' },
  slow: { type: 'string', default: 'sleep' },
  seconds: { type: 'string', default: '4' },
  rounds: { type: 'string', default: '5' },
  rate: { type: 'string', default: '20' },
  waiting: { type: 'string', default: String(limits.connections.waitingPerTenant) },
} as const;

const conditions = ['alone', 'with the hog', 'without fairness'] as const;

type Condition = (typeof conditions)[number];

/** The answers to the victims in one round. */
type Round = { errors: number; p50: number; p99: number; p999: number };

/** `shut` admits no tenant's request. */
type Servers = { fair: Kennel; unfair: Kennel; shut: Kennel };

type Setup = Servers & {
  victimRequests: string[];
  hog: string;
  seconds: number;
  perVictim: number;
};

/** True when the victims see no error and their p99 grows by half at most. */
export async function measureNoisyNeighbour(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options });
  return onServers(values.waiting, async (servers) => {
    const tenants = await onboardAll(servers.fair, values.mode);
    const setup = {
      ...servers,
      seconds: Number(values.seconds),
      perVictim: Number(values.rate),
      ...requestsOf(tenants, values.slow),
    };
    const rounds = await playRounds(setup, Number(values.rounds));
    const good = judge(rounds);
    await reportShedding(setup);
    return good;
  });
}

function onServers(waiting: string, work: (servers: Servers) => Promise<boolean>) {
  return withCluster(async (url) => {
    const servers = {
      fair: await startLab(url, { LAB_WAITING: waiting }),
      unfair: await startLab(url, { LAB_QUEUE: 'common' }),
      shut: await startLab(url, { LAB_REQUESTS: '0' }),
    };
    const stop = () => Promise.all(Object.values(servers).map((kennel) => kennel.stop()));
    return work(servers).finally(stop);
  });
}

function startLab(url: string, guards: Variables): Promise<Kennel> {
  const variables = { ADMIN_TOKEN: adminToken, ...guards };
  return startScript('test/measure/lab_process.ts', url, variables);
}

async function onboardAll(kennel: Kennel, isolation: string): Promise<Onboarded[]> {
  const limitless = { requests_per_hour: 1_000_000_000, burst: 1_000_000_000 };
  await operatorOf(kennel)('PUT /api/admin/plans/limitless', limitless);
  const tenants: Onboarded[] = [];
  for (let index = 0; index <= victims; index += 1) {
    const tenant = await onboard(kennel, `tenant-${index}`, { isolation, plan: 'limitless' });
    for (const name of ['Rex', 'Tom', 'Kim']) {
      await tenant.call('POST /api/pets', { name, species: 'dog' });
    }
    tenants.push(tenant);
  }
  return tenants;
}

/** The first tenant is the hog. */
function requestsOf([hungry, ...others]: Onboarded[], slow: string) {
  const ask = (path: string, { slug, apiKey }: Pick<Onboarded, 'slug' | 'apiKey'>) =>
    requestBytes(`GET ${path}`, { 'x-tenant-id': slug, authorization: `Bearer ${apiKey}` });
  const hog = ask(`/api/lab/${slow}`, hungry ?? { slug: '', apiKey: '' });
  return { victimRequests: others.map((tenant) => ask('/api/pets', tenant)), hog };
}

async function playRounds(setup: Setup, times: number): Promise<Map<Condition, Round[]>> {
  const rounds = new Map<Condition, Round[]>(conditions.map((name) => [name, []]));
  // The first round of each kind opens connections and warms the code; it does not count.
  for (const name of conditions) await playRound(setup, name);
  for (let turn = 0; turn < times; turn += 1) {
    for (let at = 0; at < conditions.length; at += 1) {
      const name = conditions[(turn + at) % conditions.length] ?? 'alone';
      rounds.get(name)?.push(await playRound(setup, name));
    }
  }
  return rounds;
}

async function playRound(setup: Setup, condition: Condition): Promise<Round> {
  const { fair, unfair, seconds, victimRequests } = setup;
  const { url } = condition === 'without fairness' ? unfair : fair;
  const hog = condition === 'alone' ? null : await startHog(setup, url);
  // The hog's queue is full before any victim is measured.
  await pause(settleMs);
  const perSecond = victims * setup.perVictim;
  const done = await runPaced({
    url,
    requests: victimRequests,
    perSecond,
    seconds,
    connections: 200,
  });
  const result = await hog?.result;
  if (result)
    print(
      `  ${condition}: the hog sent ${result.all}, served ${result.served}, refused ${result.refused}, lost ${result.lost}`,
    );
  await pause(settleMs);
  return roundOf(done);
}

type HogResult = { all: number; served: number; refused: number; lost: number };

/** Resolves when the hog begins: the start of its process is not measured. */
async function startHog({ hog, seconds, perVictim }: Setup, url: string) {
  const rate = String(timesItsShare * perVictim);
  const lasting = String(seconds + settleMs / 1_000);
  const args = [...nodeScript('test/measure/hog_process.ts'), url, hog, rate, lasting];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const result = text(child.stdout).then((line): HogResult => JSON.parse(line));
  return { result };
}

function roundOf(done: Timed[]): Round {
  const ms = done.map((answer) => answer.ms);
  const errors = done.filter(({ status }) => status !== 200).length;
  const [p50 = 0, p99 = 0, p999 = 0] = [0.5, 0.99, 0.999].map((part) => quantile(ms, part));
  return { errors, p50, p99, p999 };
}

function judge(rounds: Map<Condition, Round[]>): boolean {
  const median = (name: Condition, of: (round: Round) => number) =>
    quantile((rounds.get(name) ?? []).map(of), 0.5);
  const errors = (name: Condition) =>
    (rounds.get(name) ?? []).reduce((sum, round) => sum + round.errors, 0);
  const p99 = (name: Condition) => median(name, (round) => round.p99);
  const ratio = (name: Condition) => p99(name) / p99('alone');
  printTable(
    [
      "the victims' requests",
      'errors',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'ratio',
      'p99 of each round',
    ],
    conditions.map((name) => [
      name,
      errors(name),
      fixed(median(name, (round) => round.p50)),
      fixed(p99(name)),
      fixed(median(name, (round) => round.p999)),
      fixed(ratio(name)),
      (rounds.get(name) ?? []).map((round) => fixed(round.p99)).join(' '),
    ]),
  );
  const good = errors('with the hog') === 0 && ratio('with the hog') <= ratioBound;
  const control = errors('without fairness') > 0 || ratio('without fairness') > ratioBound;
  print(
    good ? `Within ${ratioBound}, without an error` : `MISSED: errors, or more than ${ratioBound}`,
  );
  if (!control) print('MISSED: without fairness it is no worse, so nothing has been shown');
  return good && control;
}

/** The cost of serving a request and of shedding one. */
async function reportShedding(setup: Setup): Promise<void> {
  const { fair, shut, victimRequests } = setup;
  const seconds = 3;
  const served = await costOf(fair, () =>
    runClosed({ url: fair.url, requests: victimRequests, seconds, connections: 16 }),
  );
  const turnedAway = await costOf(shut, () =>
    runClosed({ url: shut.url, requests: victimRequests, seconds, connections: 16 }),
  );
  const perSecond = victims * setup.perVictim;
  const flood = { ...setup, seconds, perVictim: floodPerSecond / timesItsShare };
  let refused = 0;
  const full = await costOf(fair, async () => {
    const { result } = await startHog(flood, fair.url);
    const load = { url: fair.url, requests: victimRequests, perSecond, seconds, connections: 200 };
    const done = await runPaced(load);
    refused = (await result).refused;
    return done;
  });
  const seen = roundOf(full.done);
  const forVictims = perSecond * seconds * served.each;
  printTable(
    ['requests', 'a second', 'server CPU µs each'],
    [
      ['served', Math.round(served.done.length / seconds), Math.round(served.each)],
      [
        'refused by the bound on all',
        Math.round(turnedAway.done.length / seconds),
        Math.round(turnedAway.each),
      ],
      [
        'refused by a full queue',
        Math.round(refused / (seconds + settleMs / 1_000)),
        Math.round((full.micros - forVictims) / refused),
      ],
    ],
  );
  print(`Meanwhile ${perSecond}/s were served: ${seen.errors} errors, p99 ${fixed(seen.p99)} ms`);
}

async function costOf({ url }: Kennel, run: () => Promise<Timed[]>) {
  const before = await cpuSeconds(url);
  const done = await run();
  const micros = (await cpuSeconds(url)) * 1e6 - before * 1e6;
  return { done, micros, each: micros / done.length };
}

async function cpuSeconds(url: string): Promise<number> {
  const { text: figures } = await operatorOf({ url })('GET /metrics');
  const name = 'process_cpu_seconds_total';
  return samples(figures).find((sample) => sample.name === name)?.value ?? Number.NaN;
}

function fixed(value: number): number {
  return Number(value.toFixed(2));
}
