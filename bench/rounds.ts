/**
 * Times cases in turn: A B C, A B C, … What disturbs the machine for a while then disturbs all of
 * them, and each round's figures can be held against each other.
 */

import { check } from './check.ts';
import type { BenchCluster } from './cluster.ts';
import { cpuUsOf, cpuUsOfMachine, cpuUsOfPostgres } from './cpu.ts';
import { conditions, limits } from './limits.ts';
import type { Load } from './load/load.ts';
import type { Outcome } from './load/messages.ts';
import { drawRequests, type Workload } from './operations.ts';
import type { CaseResult, CpuUs, GroupResult, Sample } from './result.ts';
import type { Subject } from './systems_under_test.ts';

export type Case = Workload & { name: string; subject: Subject; connections: number };

export type Group = { name: string; title: string; cases: readonly Case[] };

export type RoundsOptions = {
  load: Load;
  cluster: Pick<BenchCluster, 'postmaster'>;
  rounds: number;
  warmupMs: number;
  measureMs: number;
  chance: () => number;
  onProgress: (step: { done: number; of: number; name: string }) => void;
};

/** Checks every case, then times those that answer rightly. */
export async function runGroup(group: Group, options: RoundsOptions): Promise<GroupResult> {
  const { name, title, cases } = group;
  const started = [];
  for (const one of cases) started.push(await prepare(one, options));
  const of = cases.length * options.rounds;
  let done = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    for (const running of started) {
      options.onProgress({ done, of, name: `${title}: ${running.result.name}` });
      await running.time();
      done += 1;
    }
  }
  return { name, title, cases: started.map(({ result }) => result) };
}

/**
 * Lets servers run in, one by one, before anything of theirs is counted: their code has yet to be
 * compiled and their connections to be opened.
 */
export async function runIn(
  subjects: readonly Subject[],
  { load, measureMs, chance }: RoundsOptions,
): Promise<void> {
  for (const subject of subjects) {
    const workload = { operation: 'me', spread: 'uniform', tenants: 1 } as const;
    const read = { ...workload, operation: 'read', tenants: subject.members.length } as const;
    const requests = drawRequests(subject, subject.name === 'bare' ? workload : read, chance);
    await load.run({
      kind: 'storm',
      url: subject.server.url,
      connections: conditions.connections,
      warmupMs: 0,
      measureMs: Math.min(limits.runInMs, 5 * measureMs),
      timeoutMs: limits.requestMs,
      requests,
    });
    await subject.server.forgetLog();
  }
}

async function prepare(one: Case, options: RoundsOptions) {
  const { name, subject, operation, spread, tenants, connections } = one;
  const voided = await check(subject, one);
  const result: CaseResult = {
    name,
    subject: subject.name,
    operation,
    spread,
    tenants: Math.min(tenants, subject.members.length),
    connections,
    samples: [],
    voided: voided && `answered wrongly: ${voided}`,
  };
  const requests = drawRequests(subject, one, options.chance);
  const time = async () => {
    // Once void, always void: its other rounds would only take time.
    if (result.voided !== null) return;
    const { sample, fault } = await timeOnce(one, requests, options);
    if (fault === null) result.samples.push(sample);
    else result.voided = fault;
    await subject.server.forgetLog();
  };
  return { result, time };
}

type Timed = { sample: Sample; fault: string | null };

async function timeOnce(
  { subject, connections }: Case,
  requests: ReturnType<typeof drawRequests>,
  { load, cluster, warmupMs, measureMs }: RoundsOptions,
): Promise<Timed> {
  const look = () => lookAt(subject.server.pid, cluster.postmaster);
  let [before, after] = [look(), look()];
  const window = {
    onOpen: () => {
      before = look();
    },
    onClose: () => {
      after = look();
    },
  };
  const { url } = subject.server;
  const times = { warmupMs, measureMs, timeoutMs: limits.requestMs };
  const outcome = await load.run({ kind: 'storm', url, connections, requests, ...times }, window);
  return { sample: sampleOf(outcome, before, after), fault: faultIn(outcome) };
}

/** What everybody has spent so far. */
type Spent = { server: number | null; database: number | null; machine: number; all: number };

function lookAt(server: number, postmaster: number | null): Spent {
  const { busy, all } = cpuUsOfMachine();
  return {
    server: cpuUsOf(server),
    database: cpuUsOfPostgres(postmaster),
    machine: busy,
    all,
  };
}

function faultIn({ requests: count, faults }: Outcome): string | null {
  if (faults.length > 0) return `${faults.join(', ')} beside ${count} good answers`;
  return count === 0 ? 'no answer in time' : null;
}

function sampleOf(outcome: Outcome, before: Spent, after: Spent): Sample {
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
