/**
 * What a tenant and its neighbours notice of a move. A tenant of N pets and 2 N visits gets a number of requests
 * a second, of which four in five read, and is moved through the six pairs of modes; ten other tenants send
 * reads meanwhile. Before each move the same load runs without one.
 *
 * `--pets N`, `--rate N` requests a second of the tenant, `--others N` of all other tenants together,
 * `--seconds N` of the load without a move, `--moves N` of the six.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { MoveView } from '../../src/control_plane/moves/move_record.ts';
import { type IsolationModeName, IsolationModes } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { Installation } from '../../src/postgres/installation.ts';
import { type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { lookInto } from '../support/sql.ts';
import { requestBytes, type Timed } from './keep_alive.ts';
import { quantile } from './quantile.ts';
import { type Cell, print, printTable } from './table.ts';
import { Users } from './users.ts';
import { withCluster } from './with_cluster.ts';

const bounds = { pauseP99Ms: 250, pauseMaxMs: 500, othersRatio: 1.2 };

/** Each ordered pair once: the tenant begins in shared mode. */
const tour: readonly IsolationModeName[] = [
  ...(['schema', 'database', 'shared', 'database', 'schema', 'shared'] as const),
];

const others = 10;

const options = {
  pets: { type: 'string', default: '100000' },
  rate: { type: 'string', default: '200' },
  others: { type: 'string', default: '100' },
  seconds: { type: 'string', default: '60' },
  moves: { type: 'string', default: '6' },
} as const;

type Setup = {
  url: string;
  kennel: Kennel;
  users: Users;
  tenant: Onboarded;
  reads: string[];
  writes: string[];
  foreign: string[];
  rate: number;
  othersRate: number;
};

/** The answers to one kind of requests. */
type Kind = 'reads' | 'writes' | 'others';

type Round = Record<Kind, Timed[]>;

type Move = Pick<MoveView, 'from' | 'to' | 'state' | 'rows' | 'error'> & {
  pause_ms: number;
  started_at: string;
  ended_at: string;
};

/** True when nothing failed or was lost, and every figure is within its bound. */
export async function measureMove(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options });
  return withCluster(async (url) => {
    const users = await Users.start();
    const kennel = await startKennel(url);
    try {
      const setup = { users, ...(await setUp(url, kennel, values)) };
      // The first round warms code and connections.
      await loadFor(setup, 3);
      const moves: Judged[] = [];
      for (const to of tour.slice(0, Number(values.moves))) {
        moves.push(await moveOnce(setup, to, Number(values.seconds)));
      }
      printTable(
        head,
        moves.map(({ row }) => row),
      );
      const mean = (round: 'alone' | 'during') =>
        moves.reduce((sum, { othersP99Ms }) => sum + othersP99Ms[round], 0) / moves.length;
      const [alone, during] = [mean('alone'), mean('during')];
      const ratio = during / alone;
      print(
        `Others' p99, mean: ${during.toFixed(1)} ms, ${alone.toFixed(1)} ms without a move, ratio ${ratio.toFixed(2)}`,
      );
      const good = moves.every(({ isGood }) => isGood) && ratio <= bounds.othersRatio;
      print(good ? 'Within all bounds' : 'MISSED: a bound, or a lost or failed request');
      return good;
    } finally {
      users.stop();
      await kennel.stop();
    }
  });
}

async function setUp(
  url: string,
  kennel: Kennel,
  { pets, rate, others: othersRate }: { pets: string; rate: string; others: string },
): Promise<Omit<Setup, 'users'>> {
  const limitless = { requests_per_hour: 1_000_000_000, burst: 1_000_000_000 };
  await operatorOf(kennel)('PUT /api/admin/plans/limitless', limitless);
  const tenant = await onboard(kennel, 'mover', { isolation: 'shared', plan: 'limitless' });
  const neighbours: Onboarded[] = [];
  for (let at = 0; at < others; at += 1) {
    const isolation = at % 2 === 0 ? 'shared' : 'schema';
    neighbours.push(await onboard(kennel, `other-${at}`, { isolation, plan: 'limitless' }));
  }
  const ids = await fill(url, tenant.id, Number(pets));
  return {
    ...{ url, kennel, tenant, rate: Number(rate), othersRate: Number(othersRate) },
    reads: [
      ...ids.map((id) => requestOf(tenant, `GET /api/pets/${id}`)),
      requestOf(tenant, 'GET /api/pets'),
    ],
    writes: [requestOf(tenant, 'POST /api/pets', { name: 'New', species: 'dog' })],
    foreign: neighbours.map((one) => requestOf(one, 'GET /api/pets')),
  };
}

function requestOf({ slug, apiKey }: Onboarded, line: string, body?: object): string {
  const headers = { 'x-tenant-id': slug, authorization: `Bearer ${apiKey}` };
  if (!body) return requestBytes(line, headers);
  const text = JSON.stringify(body);
  const ofBody = { 'content-type': 'application/json', 'content-length': String(text.length) };
  return `${requestBytes(line, { ...headers, ...ofBody })}${text}`;
}

/** @returns the ids of some of the pets. */
function fill(url: string, tenant: string, pets: number): Promise<string[]> {
  return lookInto(url, async (sql) => {
    await sql`
      insert into shared.pets (tenant_id, id, name, species, breed)
      select ${tenant}::uuid, gen_random_uuid(), 'Pet ' || n, 'dog', 'Golden Retriever'
      from generate_series(1, ${pets}::int) as n`;
    await sql`
      insert into shared.visits (tenant_id, id, pet_id, visited_on, reason)
      select tenant_id, gen_random_uuid(), id, '2024-01-01', 'The yearly examination'
      from shared.pets, generate_series(1, 2)
      where tenant_id = ${tenant}`;
    const some = await sql<{ id: string }[]>`
      select id from shared.pets where tenant_id = ${tenant} order by id limit 500`;
    return some.map(({ id }) => id);
  });
}

/** The load of all tenants. */
async function loadFor(
  { kennel, users, reads, writes, foreign, rate, othersRate }: Setup,
  seconds: number,
  over?: Promise<unknown>,
): Promise<Round> {
  const load = { url: kennel.url, seconds, connections: 100 };
  const loads = [
    { ...load, requests: reads, perSecond: rate * 0.8 },
    { ...load, requests: writes, perSecond: rate * 0.2 },
    { ...load, requests: foreign, perSecond: othersRate },
  ];
  const [read = [], written = [], other = []] = await users.run(loads, over);
  return { reads: read, writes: written, others: other };
}

async function moveOnce(setup: Setup, to: string, seconds: number): Promise<Judged> {
  const { kennel, tenant } = setup;
  const operator = operatorOf(kennel);
  const alone = await loadFor(setup, seconds);
  const before = await countPets(setup);
  const begun = await operator(`POST /api/admin/tenants/${tenant.slug}/move`, { to });
  if (begun.status !== 202) throw new Error(`Cannot move: ${begun.text}`);
  const watching = untilEnded(async () => {
    return (await operator(`GET /api/admin/tenants/${tenant.slug}/move`)).body;
  });
  const [move, during] = await Promise.all([watching, loadFor(setup, Infinity, watching)]);
  const written = during.writes.filter(({ status }) => status === 201).length;
  const lost = before + written - (await countPets(setup));
  if (move.error !== null) print(`${move.from} → ${move.to}: ${move.error}`);
  return judge({ move, during, alone, lost });
}

async function untilEnded(view: () => Promise<Move>): Promise<Move> {
  for (;;) {
    const move = await view();
    if (move.state === 'done' || move.state === 'failed') return move;
    await pause(250);
  }
}

/** Counts them where they are, as the superuser. */
async function countPets({ url, tenant }: Setup): Promise<number> {
  const [row] = await lookInto(
    url,
    (sql) => sql<TenantRef[]>`
      select id, isolation, server, generation from control.tenants where slug = ${tenant.slug}`,
  );
  if (!row) throw new Error('Cannot count: the tenant is gone');
  // The names of placements do not depend on the secret.
  const secret = Buffer.alloc(32);
  const secrets = { installation: secret, seals: { current: secret, other: null } };
  const installation = new Installation(url, secrets, 1);
  const placement = new IsolationModes(installation).placementOf(row);
  return lookInto(installation.adminUrlOf(placement), async (sql) => {
    const [counted] = await sql<{ count: number }[]>`
      select count(*)::int as count from ${sql(placement.schema)}.pets where tenant_id = ${row.id}`;
    return counted?.count ?? 0;
  });
}

/** `isGood` does not judge the ratio of one move: the p99 of a few seconds is too uncertain. */
type Judged = { row: Cell[]; isGood: boolean; othersP99Ms: { alone: number; during: number } };

type Measured = { move: Move; during: Round; alone: Round; lost: number };

function judge({ move, during, alone, lost }: Measured): Judged {
  const failed = (answers: Timed[]) =>
    answers.filter(({ status }) => status >= 300 || status < 200).length;
  const ms = (answers: Timed[], part: number) =>
    quantile(
      answers.map((one) => one.ms),
      part,
    );
  const failures = [during.reads, during.writes, during.others].map(failed);
  const failedAlone = failed([...alone.reads, ...alone.writes, ...alone.others]);
  if (failedAlone > 0)
    print(`The machine is too busy: ${failedAlone} requests failed without a move`);
  const othersP99Ms = { alone: ms(alone.others, 0.99), during: ms(during.others, 0.99) };
  const waits = [0.5, 0.99, 1].map((part) => ms(during.writes, part));
  const [, p99 = Infinity, max = Infinity] = waits;
  const isGood =
    move.state === 'done' &&
    lost === 0 &&
    failures.every((count) => count === 0) &&
    p99 <= bounds.pauseP99Ms &&
    max <= bounds.pauseMaxMs;
  const seconds = (Date.parse(move.ended_at) - Date.parse(move.started_at)) / 1_000;
  const row = [
    `${move.from} → ${move.to}`,
    move.rows,
    seconds.toFixed(1),
    Math.round(move.pause_ms),
    ...waits.map((wait) => Number(wait.toFixed(1))),
    ...[during.reads, during.writes].map((answers) => `${failed(answers)} of ${answers.length}`),
    lost,
    ...[othersP99Ms.alone, othersP99Ms.during].map((waited) => Number(waited.toFixed(1))),
    Number((othersP99Ms.during / othersP99Ms.alone).toFixed(2)),
  ];
  return { row, isGood, othersP99Ms };
}

const head = [
  ...['move', 'rows', 'seconds', 'pause ms', 'write p50', 'p99', 'max ms'],
  ...['reads failed', 'writes failed', 'lost', "others' p99", 'with', 'ratio'],
];
