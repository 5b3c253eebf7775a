/**
 * Times cases in turn: A B C, A B C, … A disturbance of the machine then affects all cases alike, and the
 * figures of one round can be compared.
 */

import { check } from './check.ts';
import type { BenchCluster } from './cluster.ts';
import { cpuUsOf, cpuUsOfMachine, cpuUsOfPostgres } from './cpu.ts';
import { conditions, limits } from './limits.ts';
import type { Load } from './load/load.ts';
import type { Outcome } from './load/messages.ts';
import { drawRequests, type Workload } from './operations.ts';
import type { CaseResult, CpuUs, GroupResult, Sample } from './result.ts';
import type { SystemUnderTest } from './systems_under_test.ts';

export type Case = Workload & { name: string; system: SystemUnderTest; connections: number };

export type Group = { name: string; title: string; cases: readonly Case[] };

export type RoundsOptions = {
  load: Load;
  cluster: Pick<BenchCluster, 'postmaster'>;
  rounds: number;
  warmupMs: number;
  measureMs: number;
  random: () => number;
  onProgress: (done: number, of: number) => void;
};

/** Checks every case, then times those with correct replies. */
export async function runGroup(group: Group, options: RoundsOptions): Promise<GroupResult> {
  const { name, title, cases } = group;
  const started = [];
  for (const one of cases) started.push(await prepare(one, options));
  const of = cases.length * options.rounds;
  let done = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    for (const running of started) {
      options.onProgress(done, of);
      await running.time();
      done += 1;
    }
  }
  return { name, title, cases: started.map(({ result }) => result) };
}

/**
 * Warms servers up, one by one, before they are measured: their code is compiled and their connections
 * are opened.
 */
export async function runIn(
  systems: readonly SystemUnderTest[],
  { load, measureMs, random }: RoundsOptions,
): Promise<void> {
  for (const system of systems) {
    const workload = { operation: 'me', spread: 'uniform', tenants: 1 } as const;
    const read = { ...workload, operation: 'read', tenants: system.loadTenants.length } as const;
    const requests = drawRequests(system, system.name === 'bare' ? workload : read, random);
    await load.run({
      kind: 'closed_loop',
      url: system.server.url,
      connections: conditions.connections,
      warmupMs: 0,
      measureMs: Math.min(limits.runInMs, 5 * measureMs),
      timeoutMs: limits.requestMs,
      requests,
    });
    await system.server.forgetLog();
  }
}

async function prepare(one: Case, options: RoundsOptions) {
  const { name, system, operation, spread, tenants, connections } = one;
  const voided = await check(system, one);
  const result: CaseResult = {
    name,
    system: system.name,
    operation,
    spread,
    tenants: Math.min(tenants, system.loadTenants.length),
    connections,
    samples: [],
    voided: voided && `wrong reply: ${voided}`,
  };
  const requests = drawRequests(system, one, options.random);
  const time = async () => {
    // A case that is void stays void, so further rounds would only take time.
    if (result.voided !== null) return;
    const { sample, fault } = await timeOnce(one, requests, options);
    if (fault === null) result.samples.push(sample);
    else result.voided = fault;
    await system.server.forgetLog();
  };
  return { result, time };
}

type Timed = { sample: Sample; fault: string | null };

async function timeOnce(
  { system, connections }: Case,
  requests: ReturnType<typeof drawRequests>,
  { load, cluster, warmupMs, measureMs }: RoundsOptions,
): Promise<Timed> {
  const readTimes = () => cpuTimesOf(system.server.pid, cluster.postmaster);
  let [before, after] = [readTimes(), readTimes()];
  const window = {
    onOpen: () => {
      before = readTimes();
    },
    onClose: () => {
      after = readTimes();
    },
  };
  const { url } = system.server;
  const times = { warmupMs, measureMs, timeoutMs: limits.requestMs };
  const outcome = await load.run(
    { kind: 'closed_loop', url, connections, requests, ...times },
    window,
  );
  return { sample: sampleOf(outcome, before, after), fault: faultIn(outcome) };
}

/** CPU times so far, in microseconds. */
type CpuTimes = { server: number | null; database: number | null; machine: number; all: number };

function cpuTimesOf(server: number, postmaster: number | null): CpuTimes {
  const { busy, all } = cpuUsOfMachine();
  return {
    server: cpuUsOf(server),
    database: cpuUsOfPostgres(postmaster),
    machine: busy,
    all,
  };
}

function faultIn({ requests: count, faults }: Outcome): string | null {
  if (faults.length > 0) return `${faults.join(', ')} and ${count} good replies`;
  return count === 0 ? 'no reply in time' : null;
}

function sampleOf(outcome: Outcome, before: CpuTimes, after: CpuTimes): Sample {
  const { requests, seconds, p50Us, p99Us, p999Us } = outcome;
  const server = difference(before.server, after.server);
  const database = difference(before.database, after.database);
  const each = (us: number | null) => (us === null || requests === 0 ? null : us / requests);
  const cpuUs: CpuUs = {
    server: each(server),
    database: each(database),
    load: each(outcome.cpuUs) ?? 0,
  };
  const others =
    server === null || database === null
      ? null
      : after.machine - before.machine - server - database - outcome.cpuUs;
  const othersShare = others === null ? null : Math.max(0, others / (after.all - before.all));
  return { perSecond: requests / seconds, p50Us, p99Us, p999Us, cpuUs, othersShare };
}

function difference(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}
