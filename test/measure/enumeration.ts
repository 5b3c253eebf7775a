/**
 * Whether response times reveal what the answers do not: unknown, foreign and suspended tenants;
 * unknown, wrong and revoked keys. 2 000 requests of each kind, in random order on a connection
 * that stays open, against a server in its own process; `--requests N` sends more. `--broken`
 * measures a server that looks unknown slugs up, which must be detected.
 *
 * Nine pairs are compared. Each is a hit at a rank difference that two equal kinds reach in 1 of
 * 900 comparisons, so that all of them together are wrong once in 100 runs (Bonferroni); and a hit
 * counts only when fresh requests confirm it in the same direction, which happens by chance once in
 * 100 000 runs. Random order is what allows this on a busy machine: a disturbance affects all kinds
 * alike.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { formatApiKey } from '../../src/adapters/directory/api_key.ts';
import { type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { type Kennel, startKennel, startScript } from '../support/kennel.ts';
import { choose, seededRandom } from '../support/random.ts';
import { KeepAlive, requestBytes } from './keep_alive.ts';
import { quantile } from './quantile.ts';
import { medianDifference, rankDifference } from './rank_test.ts';
import { print, printTable } from './table.ts';
import { withCluster } from './with_cluster.ts';

const warmUp = 300;
/** Of the standard normal distribution, both tails of 1/900 together. */
const hitAt = 3.26;
/** Fewer than slow an address down. */
const guessesPerAddress = 40;

type Kind = { name: string; status: number; bytes: (address: string) => string };

type Sample = Map<string, number[]>;

/** The server's address, and the number of requests of each kind. */
type Source = { kennel: Kennel; samples: number };

type Pair = { first: string; second: string; difference: number };

/** True when the result is as expected: no pair differs, or with `--broken` one does. */
export async function measureEnumeration(flags: string[]): Promise<boolean> {
  const options = { broken: { type: 'boolean' }, requests: { type: 'string' } } as const;
  const { values } = parseArgs({ args: flags, options });
  const broken = values.broken ?? false;
  const samples = Number(values.requests ?? 2_000);
  if (!Number.isInteger(samples) || samples < 100) {
    throw new Error('Cannot use --requests: expected an integer of at least 100');
  }
  const differing = await withCluster(async (url) => {
    const kennel = await startServer(url, broken);
    return compareAll(kennel, samples).finally(() => kennel.stop());
  });
  for (const { first, second } of differing) print(`DIFFERENT: ${first} / ${second}`);
  if (differing.length === 0) print('No kind is told from another by its time');
  return broken === differing.length > 0;
}

function startServer(databaseUrl: string, broken: boolean): Promise<Kennel> {
  if (broken) return startScript('test/measure/lab_process.ts', databaseUrl, { LAB_LOOKUP: '1' });
  return startKennel(databaseUrl, { TRUSTED_PROXIES: '127.0.0.1/32', LOG_LEVEL: 'error' });
}

/** Groups are measured one by one: the order of two different answers does not matter. */
async function compareAll(kennel: Kennel, samples: number): Promise<Pair[]> {
  const acme = await onboard(kennel, 'acme-pets');
  await onboard(kennel, 'forest-pets');
  await onboard(kennel, 'asleep-pets');
  await operatorOf(kennel)('PATCH /api/admin/tenants/asleep-pets', { status: 'suspended' });
  const groups = [tenantKinds(acme), keyKinds(acme, await revokedKey(acme))];
  const differing: Pair[] = [];
  for (const kinds of groups) differing.push(...(await compare(kinds, { kennel, samples })));
  return differing;
}

async function compare(kinds: readonly Kind[], from: Source): Promise<Pair[]> {
  const hits = hitsIn(await measure(kinds, { ...from, seed: 1 }));
  if (hits.length === 0) return [];
  print('Once more, to rule out a random difference:\n');
  const again = hitsIn(await measure(kinds, { ...from, seed: 2 }));
  return hits.filter(({ first, second, difference }) =>
    again.some(
      (pair) => pair.first === first && pair.second === second && pair.difference * difference > 0,
    ),
  );
}

function tenantKinds({ apiKey }: Onboarded): Kind[] {
  const named = (name: string, slug: string) => ({
    name,
    status: 404,
    bytes: (address: string) => request({ authorization: `Bearer ${apiKey}`, slug, address }),
  });
  return [
    named('unknown tenant', 'nobody-pets'),
    named('foreign tenant', 'forest-pets'),
    named('suspended tenant', 'asleep-pets'),
  ];
}

/** The known key is in use, and so in the cache. */
function keyKinds({ apiKey, slug }: Onboarded, revoked: string): Kind[] {
  const kind = (name: string, keyId: () => string) => ({
    name,
    status: 401,
    bytes: (address: string) => {
      const authorization = `Bearer ${formatApiKey(keyId(), randomBytes(32))}`;
      return request({ authorization, slug, address });
    },
  });
  const unknown = randomUUID();
  return [
    kind('unknown key', () => unknown),
    kind('never seen key', () => randomUUID()),
    kind('wrong secret', () => idOf(apiKey)),
    kind('revoked key', () => idOf(revoked)),
  ];
}

async function measure(
  kinds: readonly Kind[],
  { kennel: { url }, samples, seed }: Source & { seed: number },
): Promise<Sample> {
  const random = seededRandom(seed);
  const sample: Sample = new Map(kinds.map(({ name }) => [name, []]));
  const client = await KeepAlive.open(url);
  const asked = new Map<string, number>();
  let turn = 0;
  for (const kind of inRandomOrder(kinds, warmUp + samples, random)) {
    turn += 1;
    const { status, ms } = await client.ask(kind.bytes(addressOf(turn, seed)));
    if (status !== kind.status) throw new Error(`Cannot measure: ${kind.name} got ${status}`);
    const count = (asked.get(kind.name) ?? 0) + 1;
    asked.set(kind.name, count);
    if (count > warmUp) sample.get(kind.name)?.push(ms);
  }
  client.close();
  report(sample, random);
  return sample;
}

/** Each kind the same number of times. */
function inRandomOrder(kinds: readonly Kind[], times: number, random: () => number): Kind[] {
  const left = new Map(kinds.map((kind) => [kind, times]));
  const order: Kind[] = [];
  while (left.size > 0) {
    const kind = choose([...left.keys()], random);
    const rest = (left.get(kind) ?? 0) - 1;
    if (rest > 0) left.set(kind, rest);
    else left.delete(kind);
    order.push(kind);
  }
  return order;
}

function report(sample: Sample, random: () => number): void {
  printTable(
    ['kind', 'requests', 'median µs', 'p25 µs', 'p75 µs'],
    [...sample].map(([name, ms]) => [
      name,
      ms.length,
      ...[0.5, 0.25, 0.75].map((part) => micros(quantile(ms, part))),
    ]),
  );
  printTable(
    ['pair', 'median difference µs', '95% within', 'rank difference', `hit at ±${hitAt}`],
    pairsOf(sample).map(({ first, second, difference }) => {
      const [a, b] = [sample.get(first) ?? [], sample.get(second) ?? []];
      const { middle, low, high } = medianDifference(a, b, random);
      const spread = `${micros(low)} to ${micros(high)}`;
      const hit = Math.abs(difference) >= hitAt ? 'hit' : '';
      return [`${first} / ${second}`, micros(middle), spread, Number(difference.toFixed(2)), hit];
    }),
  );
}

function hitsIn(sample: Sample): Pair[] {
  return pairsOf(sample).filter(({ difference }) => Math.abs(difference) >= hitAt);
}

function pairsOf(sample: Sample): Pair[] {
  const all = [...sample];
  return all.flatMap(([first, a], at) =>
    all.slice(at + 1).map(([second, b]) => ({ first, second, difference: rankDifference(a, b) })),
  );
}

async function revokedKey({ call }: Onboarded): Promise<string> {
  const { user } = (await call('GET /api/me')).body;
  const { body } = await call(`POST /api/users/${user.id}/keys`);
  await call(`DELETE /api/keys/${body.id}`);
  return body.api_key;
}

function idOf(apiKey: string): string {
  return apiKey.split('_')[1] ?? '';
}

type ProbeRequest = { authorization: string; slug: string; address: string };

function request({ authorization, slug, address }: ProbeRequest): string {
  const named = { 'x-tenant-id': slug, 'x-forwarded-for': address };
  return requestBytes('GET /api/pets', { authorization, ...named });
}

/** A new address before the old one would be slowed down. */
function addressOf(turn: number, seed: number): string {
  const at = Math.floor(turn / guessesPerAddress);
  return `10.${seed}.${at >> 8}.${at & 255}`;
}

function micros(ms: number): number {
  return Math.round(ms * 1_000);
}
