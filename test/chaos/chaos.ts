/**
 * A run: a server with tenants of all three modes, those who work on it, the faults of a schedule,
 * and what everybody found. The same seed gives the same schedule and the same operations.
 */
import { type IsolationMode, isolationModes } from '../../src/kernel/tenant.ts';
import { chanceOf } from '../support/chance.ts';
import { type Call, onboard } from '../support/client.ts';
import { type Ended, type Kennel, startKennel } from '../support/kennel.ts';
import type { PrivateRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { act, feelPulse, watch } from './actors.ts';
import { Caller } from './caller.ts';
import { type ChaosCluster, startChaosCluster } from './cluster.ts';
import type { FaultName, Stage } from './faults.ts';
import { Findings } from './findings.ts';
import { markText } from './mark.ts';
import { TenantModel } from './model.ts';
import { Pauses } from './pauses.ts';
import { petChanges } from './pet_model.ts';
import type { Player, Scene } from './scene.ts';
import { play, type Turn } from './schedule.ts';
import { Settlement } from './settlement.ts';
import { lookIntoPlaces, lookThroughApi } from './whole_look.ts';

const tenantsPerMode = { shared: 4, schema: 3, database: 2 };

export type Report = {
  operations: number;
  reads: number;
  answers: ReadonlyMap<number, number>;
  struck: ReadonlyMap<FaultName, number>;
  findings: Findings;
  slowest: { ms: number; what: string };
  /** From the end of the last fault until everybody had a right answer. */
  answeringAgainMs: number;
  /** As the superuser saw them in the end. */
  rows: number;
  /** The server was there until it was told to go. */
  survived: boolean;
  ended: Ended;
};

export type ChaosOptions = { seed: number; schedule: readonly Turn[]; redis: PrivateRedis | null };

export async function runChaos({ seed, schedule, redis }: ChaosOptions): Promise<Report> {
  const cluster = await startChaosCluster();
  const server = await startKennel(cluster.url, {
    LOG_LEVEL: 'warn',
    ...(redis && { REDIS_URL: redis.url }),
  }).catch(async (error: unknown) => {
    await cluster.stop();
    throw error;
  });
  try {
    return await run({ seed, schedule, redis, cluster, server });
  } finally {
    server.signal('SIGCONT');
    await server.stop();
    await cluster.stop();
  }
}

type Running = ChaosOptions & { cluster: ChaosCluster; server: Kennel };

async function run({ seed, schedule, redis, cluster, server }: Running): Promise<Report> {
  const findings = new Findings();
  const pauses = new Pauses();
  const answers = new Map<number, number>();
  const slowest = { ms: 0, what: '' };
  const newCaller = () => new Caller(server.url, { findings, pauses, answers, slowest });
  const isolations = isolationModes.flatMap((mode) =>
    Array.from({ length: tenantsPerMode[mode] }, () => mode),
  );
  const players = await enrol(server, isolations, findings);
  const sceneOf = (player: Player): Scene => ({
    player,
    others: players.filter((other) => other !== player),
    caller: newCaller(),
    findings,
  });
  const writers = players.map(sceneOf);
  const readers = players.map(sceneOf);
  const settlement = new Settlement(players.map(({ model }) => model));
  const stage: Stage = {
    cluster,
    server,
    pauses,
    redis,
    callers: [...writers, ...readers].map(({ caller }) => caller),
    bystander: await bystander(server),
    onDown: () => settlement.note(performance.now()),
  };
  const struck = new Map<FaultName, number>();
  const chance = chanceOf(seed);
  const stint = () => ({ chance: chanceOf(chance() * 2 ** 32), signal: over.signal });
  const over = new AbortController();
  const pulse = feelPulse(sceneOf(players[0] ?? noPlayer()), over.signal);
  const work = Promise.all(writers.map((scene) => act(scene, stint())));
  const reading = Promise.all(readers.map((scene) => watch(scene, stint())));
  try {
    await play(schedule, stage, (fault) => struck.set(fault, (struck.get(fault) ?? 0) + 1));
  } finally {
    over.abort();
  }
  const calmAtMs = performance.now();
  await Promise.all(players.map((player) => answersAgain(sceneOf(player))));
  const answeringAgainMs = performance.now() - calmAtMs;
  const operations = sum(await work);
  const reads = sum(await reading);
  await pulse;
  const survived = await Promise.race([server.ended.then(() => false), true]);
  await cluster.quiet();
  settlement.all();
  await Promise.all(writers.map((scene) => until(() => lookThroughApi(scene), 30_000)));
  const rows = await lookIntoPlaces(
    cluster.url,
    writers.map((scene, at) => ({ scene, isolation: isolations[at] ?? 'shared' })),
  );
  const ended = await server.stop();
  return {
    operations,
    reads,
    answers,
    struck,
    findings,
    slowest,
    answeringAgainMs,
    rows,
    survived,
    ended,
  };
}

async function enrol(
  server: Kennel,
  isolations: readonly IsolationMode[],
  findings: Findings,
): Promise<Player[]> {
  const players: Player[] = [];
  for (const [at, isolation] of isolations.entries()) {
    const slug = `chaos-${isolation}-${at}`;
    const { id, apiKey, call } = await onboard(server, slug, { isolation });
    const model = new TenantModel(slug, findings);
    await markSample(model, call);
    players.push({ slug, id, apiKey, model });
  }
  return players;
}

/** The pet that every new tenant is given gets a mark like the others. */
async function markSample({ pets }: TenantModel, call: Call): Promise<void> {
  const [sample] = (await call('GET /api/pets')).body.items;
  const pet = pets.newPet();
  const mark = pets.nextMark(pet);
  pet.id = sample.id;
  pets.wrote(pet, petChanges.create(mark, sample.species), 'done');
  await call(`PATCH /api/pets/${sample.id}`, { name: markText(mark), breed: null });
}

/** With enough pets that a client who does not read fills every buffer. */
async function bystander(server: Kennel): Promise<Stage['bystander']> {
  const { slug, id, apiKey, call } = await onboard(server, 'bystander', { isolation: 'schema' });
  for (let at = 0; at < 100; at += 1) {
    await call('POST /api/pets', {
      name: `pet ${at} ${'x'.repeat(90)}`.slice(0, 100),
      species: 'owl',
    });
  }
  return { slug, id, apiKey };
}

async function answersAgain({ player, caller }: Scene): Promise<void> {
  await until(async () => {
    const { status } = await caller.ask('GET /api/pets?limit=1', { ...player, way: 'header' });
    return status === 200;
  });
}

function noPlayer(): never {
  throw new Error('Cannot run: nobody takes part');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
