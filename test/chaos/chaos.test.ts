/**
 * Tenants work while faults of all kinds are injected, and tenants move and are restored. `CHAOS_SECONDS` makes the run longer;
 * `CHAOS_SEED` repeats the schedule of the faults and the operations of each actor; `CHAOS_TRACK=servers,moves`
 * leaves out all other faults.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { binary, type PrivateRedis, reportNoRedis, startRedis } from '../support/redis.ts';
import { type AnomalyKind, anomalyKinds } from './anomalies.ts';
import { type Report, runChaos } from './chaos.ts';
import { type Fault, type FaultName, faults } from './faults.ts';
import { drawSchedule } from './schedule.ts';

const seconds = Number(process.env.CHAOS_SECONDS ?? 12);
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 32));

/**
 * If opening the connections alone takes longer, times say more about the machine than about
 * Kennel.
 */
const starvedMs = 500;

/** How soon all requests succeed again, once the connections are open. */
const recoveryMs = 1_000;

const tracks = process.env.CHAOS_TRACK?.split(',');
const names = Object.keys(faults)
  .filter(isFault)
  .filter((name) => tracks === undefined || tracks.includes(faults[name].track));
const played = names.filter((name) => binary !== undefined || faults[name].track !== 'redis');
for (const name of names) if (!played.includes(name)) reportNoRedis(`chaos where ${name}`);

/** Anomalies that a machine with too much to do shows, too. */
const timed: readonly AnomalyKind[] = ['late answer', 'needless refusal'];

describe(`chaos of CHAOS_SEED=${seed}`, () => {
  let redis: PrivateRedis | null = null;
  let report: Report;

  before(async () => {
    redis = binary === undefined ? null : await startRedis();
    report = await runChaos({ seed, schedule: drawSchedule(seed, seconds * 1_000, played), redis });
  });
  after(() => redis?.kill());

  it('keeps writers and readers working', (t) => {
    const { operations, reads, rows, answers, struck, anomalies, slowest } = report;
    t.diagnostic(`CHAOS_SEED=${seed} CHAOS_SECONDS=${seconds}`);
    t.diagnostic(`${operations} operations, ${reads} reads beside them, ${rows} rows in the end`);
    t.diagnostic(`answers: ${countsOf(answers)}`);
    t.diagnostic(`faults: ${countsOf(struck)}; ${report.moves} tenants moved`);
    t.diagnostic(`restores: ${countsOf(report.restores)}`);
    t.diagnostic(
      `anomalies: ${countsOf(anomalyKinds.map((kind) => [kind, anomalies.count(kind)]))}`,
    );
    t.diagnostic(`the server did not run for ${Math.round(report.stoppedMs)} ms; without them:`);
    t.diagnostic(`slowest answer ${slowest.ranMs} ms: ${slowest.what.slice(0, 200)}`);
    t.diagnostic(
      `every actor has an answer ${Math.round(report.answeringAgainMs)} ms after "${report.last}", as many connections of this process take ${Math.round(report.connectedMs)} ms`,
    );
    assert.ok(operations > seconds && reads > seconds && rows > 0);
  });

  it('includes every kind of fault', () => {
    assert.deepEqual([...report.struck.keys()].sort(), [...played].sort());
  });

  it('moves tenants, restores them, and recovers restores that were killed', () => {
    const { moves, restores } = report;
    const done = restores.get('done') ?? 0;
    const killed = (restores.get('completed') ?? 0) + (restores.get('undone') ?? 0);
    const has = (track: Fault['track']) => played.some((name) => faults[name].track === track);
    assert.ok(moves > 0 || !has('moves'), 'no tenant has moved');
    assert.ok((done > 0 && killed > 0) || !has('restores'), countsOf(restores));
  });

  for (const kind of anomalyKinds) {
    it(`finds no ${kind}`, (t) => {
      if (timed.includes(kind) && report.connectedMs > starvedMs) return t.skip(tooBusy(report));
      assert.deepEqual(report.anomalies.examples(kind), []);
    });
  }

  it('leaves the process running until it is stopped, and it exits with 0', () => {
    const { survived, ended } = report;
    assert.deepEqual([survived, ended.code, ended.stderr], [true, 0, '']);
  });

  it('logs no internal error', () => {
    const lines = report.ended.stdout.split('\n').filter((line) => line.includes('internal error'));
    assert.deepEqual(lines, []);
  });

  // A request needs a connection to the directory and then one to its tenant, and all are new.
  it('answers every tenant within a second after the last fault, apart from opening connections twice', (t) => {
    if (report.connectedMs > starvedMs) return t.skip(tooBusy(report));
    const { answeringAgainMs, connectedMs } = report;
    const besidesMs = answeringAgainMs - 2 * connectedMs;
    assert.ok(besidesMs < recoveryMs, `${besidesMs} ms of ${answeringAgainMs} ms`);
  });
});

function tooBusy({ connectedMs }: Report): string {
  return `the machine is too busy for times: opening the connections alone takes ${Math.round(connectedMs)} ms`;
}

function isFault(name: string): name is FaultName {
  return Object.hasOwn(faults, name);
}

function countsOf(counts: Iterable<readonly [string | number, number]>): string {
  return [...counts].map(([what, count]) => `${what} ${count}`).join(', ');
}
