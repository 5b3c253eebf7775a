/**
 * A noisy neighbour: ten tenants read pets on a schedule, while an eleventh sends slow requests, twenty
 * times its share of the connections at once. Measured without the neighbour, with fair connections, and
 * with one queue for all tenants.
 */
import type { Lab } from '../lab.ts';
import { conditions, limits } from '../limits.ts';
import { Load } from '../load/load.ts';
import type { LoadRequest } from '../load/messages.ts';
import { drawRequests } from '../operations.ts';
import type { NeighbourResult } from '../result.ts';
import { runIn } from '../rounds.ts';
import type { SystemUnderTest } from '../systems_under_test.ts';
import { labServer, stopAll } from './servers.ts';

const scenes = ['quiet', 'noisy, fair connections', 'noisy, one queue'] as const;

const victims = 10;
const victimsPerSecond = 200;
const timesItsShare = 20;

/** The neighbour starts this long before the victims. */
const aheadMs = 500;

/** Rounds are longer here: victims send few requests, and a p99 needs many. */
const roundFactor = 2;

export async function timeNeighbours(lab: Lab): Promise<NeighbourResult[]> {
  lab.progress.phase('noisy neighbour');
  const script = 'bench/labs/neighbour_process.ts';
  const fair = await labServer(lab, 'fair connections', [script, 'fair']);
  const unfair = await labServer(lab, 'one queue', [script, 'unfair']);
  await runIn([fair, unfair], lab.rounds);
  const noise = await Load.start(lab.children);
  const servers = { quiet: fair, 'noisy, fair connections': fair, 'noisy, one queue': unfair };
  const results: NeighbourResult[] = scenes.map((name) => ({
    name,
    p50Us: [],
    p99Us: [],
    failed: [],
  }));
  const { rounds } = lab.options;
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, scene] of scenes.entries()) {
      const done = round * scenes.length + at;
      lab.progress.step(done, rounds * scenes.length);
      const system = servers[scene];
      const outcome = await play(lab, system, scene === 'quiet' ? null : noise);
      results[at]?.p50Us.push(outcome.p50Us);
      results[at]?.p99Us.push(outcome.p99Us);
      results[at]?.failed.push(outcome.failed);
      await system.server.forgetLog();
    }
  }
  await noise.stop();
  await stopAll([fair, unfair]);
  return results;
}

async function play({ load, options, rounds }: Lab, system: SystemUnderTest, noise: Load | null) {
  const { url } = system.server;
  const measureMs = options.measureMs * roundFactor;
  const workload = { operation: 'read', spread: 'uniform', tenants: victims } as const;
  const victim = { url, perSecond: victimsPerSecond, measureMs, timeoutMs: limits.requestMs };
  const requests = drawRequests(system, workload, rounds.random);
  const noiseEnded = noise?.run({
    kind: 'closed_loop',
    url,
    connections: Math.round((timesItsShare * conditions.pool) / (victims + 1)),
    warmupMs: aheadMs,
    measureMs,
    timeoutMs: limits.requestMs,
    requests: [slowRequest(system)],
  });
  await new Promise((resolve) => setTimeout(resolve, aheadMs));
  const [outcome] = await Promise.all([
    load.run({ kind: 'pace', ...victim, requests }),
    noiseEnded,
  ]);
  return outcome;
}

/** The neighbour is not one of the victims. */
function slowRequest({ loadTenants, headersOf }: SystemUnderTest): LoadRequest {
  const neighbour = loadTenants[victims] ?? loadTenants.at(-1);
  if (!neighbour) throw new Error('Cannot make noise: there is no tenant');
  return { method: 'GET', path: '/api/slow', headers: headersOf(neighbour) };
}
