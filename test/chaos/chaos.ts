/**
 * A run: a server with tenants of all three modes, the actors that use it, the faults of a
 * schedule, and the anomalies found. The same seed gives the same schedule and the same operations.
 */
import { isolationModes } from '../../src/isolation/modes.ts';
import type { Ended } from '../support/kennel.ts';
import { seededRandom } from '../support/random.ts';
import type { PrivateRedis } from '../support/redis.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';
import { act, probeLiveness, watch } from './actors.ts';
import { Anomalies } from './anomalies.ts';
import { Caller, type LongCall } from './caller.ts';
import { type FaultName, type FaultTargets, faults, type RestoreOutcome } from './faults.ts';
import { checkPlacements, checkThroughApi } from './final_state.ts';
import { InFlightWrites } from './in_flight.ts';
import { type ChaosInstallation, startInstallation } from './installation.ts';
import { Outages, type Refused } from './outages.ts';
import { Pauses } from './pauses.ts';
import type { Player, Scene } from './scene.ts';
import { play, type Turn } from './schedule.ts';
import { setUpBystander, setUpTenants } from './setup_tenants.ts';
import { Whereabouts } from './whereabouts.ts';

const tenantsPerMode = { shared: 4, schema: 3, database: 2 };

const tenants = isolationModes.flatMap((mode) =>
  Array.from({ length: tenantsPerMode[mode] }, () => mode),
);

/** The server's connections: those for tenants and those for the directory. */
const connections = 16 + 4;

/** No call may take longer while the server runs. */
const callLimitMs = 5_000;

/** Far longer than the final checks take. */
const finalCheckMs = 30_000;

export type Report = {
  operations: number;
  reads: number;
  answers: ReadonlyMap<number, number>;
  struck: ReadonlyMap<FaultName, number>;
  anomalies: Anomalies;
  slowest: { ranMs: number; what: string };
  /** From the end of the last fault until every actor had a correct answer. */
  answeringAgainMs: number;
  /** How long the server did not run; no limit counts this time. */
  stoppedMs: number;
  /** How long this machine took meanwhile to open as many connections as the server has. */
  connectedMs: number;
  /** The fault that ended last. */
  last: FaultName | null;
  /** Tenants that were moved to another mode. */
  moves: number;
  /** Restores by their outcome. */
  restores: ReadonlyMap<RestoreOutcome, number>;
  /** Rows that the superuser saw at the end. */
  rows: number;
  /** Whether the server ran until it was told to stop. */
  survived: boolean;
  ended: Ended;
};

export type ChaosOptions = { seed: number; schedule: readonly Turn[]; redis: PrivateRedis | null };

export async function runChaos(options: ChaosOptions): Promise<Report> {
  const installation = await startInstallation(options.redis);
  try {
    return await run({ ...options, ...installation });
  } finally {
    await installation.stop();
  }
}

async function run(running: ChaosOptions & ChaosInstallation): Promise<Report> {
  const { seed, schedule, redis, cluster, second, server, folder } = running;
  const anomalies = new Anomalies();
  const pauses = new Pauses();
  const answers = new Map<number, number>();
  const long: LongCall[] = [];
  const refused: Refused[] = [];
  const whereabouts = new Whereabouts();
  const outages = new Outages();
  let moves = 0;
  const restores = new Map<RestoreOutcome, number>();
  const players = await setUpTenants(server, tenants, { anomalies, whereabouts });
  const sceneOf = (player: Player): Scene => ({
    player,
    others: players.filter((other) => other !== player),
    caller: new Caller(server.url, { anomalies, answers, long, refused }),
    anomalies,
  });
  const [writers, readers, probes] = [
    players.map(sceneOf),
    players.map(sceneOf),
    [...players.slice(0, 1), ...players].map(sceneOf),
  ];
  const inFlight = new InFlightWrites(
    players.map(({ model }) => model),
    whereabouts,
  );
  const targets: FaultTargets = {
    cluster,
    second,
    server,
    folder,
    pauses,
    whereabouts,
    moving: Promise.resolve(),
    restoring: Promise.resolve(),
    redis,
    callers: [...writers, ...readers].map(({ caller }) => caller),
    players,
    bystander: await setUpBystander(server),
    onMoved: () => {
      moves += 1;
    },
    onRestored: (outcome) => {
      restores.set(outcome, (restores.get(outcome) ?? 0) + 1);
    },
    onDown: (name) => inFlight.note(name, performance.now()),
  };
  const connect = () =>
    Promise.all(
      Array.from({ length: connections }, () => lookInto(cluster.url, (sql) => sql`select`)),
    );
  const played = await workWhile({ writers, readers, probes, pauses, seed, connect }, (onEnded) =>
    play(schedule, targets, (fault, fromMs) => {
      outages.ended(faults[fault].track, fromMs, performance.now());
      onEnded(fault);
    }),
  );
  const survived = await Promise.race([server.ended.then(() => false), true]);
  await Promise.all(writers.map((scene) => until(() => checkThroughApi(scene), finalCheckMs)));
  // A write that lost its client may still be in progress; none is once the server has shut down.
  const ended = await server.stop();
  await Promise.all([cluster.quiet(), second.cluster.quiet()]);
  const rows = await checkPlacements({ url: cluster.url, second: second.cluster.url }, writers);
  const slowest = judge(long, pauses, anomalies);
  for (const call of refused) {
    if (!outages.explain(call, { whereabouts, pauses })) {
      anomalies.report('needless refusal', `${call.what}`);
    }
  }
  return { ...played, answers, anomalies, slowest, moves, restores, rows, survived, ended };
}

type Actors = {
  writers: readonly Scene[];
  readers: readonly Scene[];
  probes: readonly Scene[];
  pauses: Pauses;
  seed: number;
  connect: () => Promise<unknown>;
};

/** All actors work until the faults are over and every actor gets answers again. */
async function workWhile(
  { writers, readers, probes, pauses, seed, connect }: Actors,
  playFaults: (onEnded: (fault: FaultName) => void) => Promise<void>,
): Promise<
  Pick<
    Report,
    'operations' | 'reads' | 'struck' | 'last' | 'answeringAgainMs' | 'connectedMs' | 'stoppedMs'
  >
> {
  const struck = new Map<FaultName, number>();
  let last: FaultName | null = null;
  const over = new AbortController();
  const random = seededRandom(seed);
  const actorOptions = () => ({ random: seededRandom(random() * 2 ** 32), signal: over.signal });
  const work = Promise.all(writers.map((scene) => act(scene, actorOptions())));
  const reading = Promise.all(readers.map((scene) => watch(scene, actorOptions())));
  const [patient = noProbe(), ...askers] = probes;
  const startedMs = performance.now();
  const pulse = probeLiveness(patient, { pauses, signal: over.signal });
  try {
    await playFaults((fault) => {
      struck.set(fault, (struck.get(fault) ?? 0) + 1);
      last = fault;
    });
    const calmAtMs = performance.now();
    // At the same time, because a moment later the machine may have more or less to do.
    const [answeredMs, connectedMs] = await Promise.all([
      Promise.all(askers.map(answersAgain)).then(() => performance.now()),
      connect().then(() => performance.now() - calmAtMs),
    ]);
    over.abort();
    await pulse;
    const answeringAgainMs = pauses.ranMs(calmAtMs, answeredMs);
    const stoppedMs = answeredMs - startedMs - pauses.ranMs(startedMs, answeredMs);
    return {
      operations: sum(await work),
      reads: sum(await reading),
      struck,
      last,
      answeringAgainMs,
      connectedMs,
      stoppedMs,
    };
  } finally {
    over.abort();
  }
}

/**
 * Reports calls that took too long, counting only the time in which the server ran.
 *
 * @returns the slowest call.
 */
function judge(long: readonly LongCall[], pauses: Pauses, anomalies: Anomalies) {
  let slowest = { ranMs: 0, what: 'none of over a second' };
  for (const { what, sentMs, endedMs } of long) {
    const ranMs = Math.round(pauses.ranMs(sentMs, endedMs));
    if (ranMs > callLimitMs) anomalies.report('late answer', `${ranMs} ms for ${what}`);
    if (ranMs > slowest.ranMs) slowest = { ranMs, what };
  }
  return slowest;
}

function noProbe(): never {
  throw new Error('Cannot run: there are no tenants');
}

async function answersAgain({ player, caller }: Scene): Promise<void> {
  await until(async () => {
    const { status } = await caller.ask('GET /api/pets?limit=1', { ...player, way: 'header' });
    return status === 200;
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
