/**
 * A server, or Postgres, that is killed while a tenant moves: the tenant is served from one place afterwards,
 * and has every row that was acknowledged. `MOVE_KILLS=100 npm test -- killed_move` kills more often;
 * `MOVE_SEED` draws the same moves and moments again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { openServices, type Services } from '../../src/services.ts';
import { type ChaosCluster, startChaosCluster } from '../chaos/cluster.ts';
import { clientOf, type Onboarded, onboard, operatorOf } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { leftOver, tenantOf } from '../support/moving_fixture.ts';
import { choose, seededRandom } from '../support/random.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

const kills = Number(process.env.MOVE_KILLS ?? 2);
const seed = Number(process.env.MOVE_SEED ?? randomInt(2 ** 32));

const pets = 1_500;

/** Far longer than a move, or a start with its recovery, takes. */
const patienceMs = 120_000;

const victims = ['the server', 'Postgres by an immediate stop', 'Postgres by SIGKILL'] as const;

/** What the registry and the catalog show after a step of a move: it is killed a moment later. */
const moments = {
  begun: `exists (select from control.moves where state = 'copying')`,
  captured: `exists (select from pg_namespace where nspname ~ '^move_')`,
  copying: `exists (select from control.moves where state = 'copying' and rows > 0)`,
  'caught up': `exists (select from control.moves where state = 'catching_up')`,
  fenced: `exists (
    select from kernel.fences join control.moves on moves.tenant_id::text = fences.tenant_id
    where fences.generation = moves.generation::text and state = 'catching_up')`,
  switched: `exists (select from control.moves where state = 'switched')`,
} as const;

describe(`a move that is killed, MOVE_SEED=${seed}`, () => {
  let cluster: ChaosCluster;
  let kennel: Kennel;
  let services: Services;
  let tenant: Onboarded;
  before(async () => {
    cluster = await startChaosCluster();
    kennel = await startKennel(cluster.url);
    services = await openServices(readConfig({ DATABASE_URL: cluster.url }), cluster.url);
    tenant = await onboard(kennel, 'mover', { isolation: 'shared' });
    await lookInto(
      cluster.url,
      (sql) => sql`
        insert into shared.pets (tenant_id, id, name, species)
        select id, gen_random_uuid(), 'Pet ' || n, 'dog'
        from control.tenants, generate_series(1, ${pets}::int) as n`,
    );
  });
  after(async () => {
    services.close();
    await kennel.stop();
    await cluster.stop();
  });

  /** Adds pets until it is told to stop, whatever happens to the server. */
  function write() {
    const state = { going: true, sent: new Set<string>(), acknowledged: new Set<string>() };
    const writing = (async () => {
      while (state.going) {
        const name = `Pet ${state.sent.size} of ${seed}`;
        state.sent.add(name);
        const add = clientOf(kennel, tenant);
        const status = await add('POST /api/pets', { name, species: 'cat' }).then(
          (answer) => answer.status,
          () => 0,
        );
        if (status === 201) state.acknowledged.add(name);
        else await pause(20);
      }
    })();
    return { state, writing };
  }

  async function kill(victim: (typeof victims)[number]): Promise<void> {
    if (victim === 'the server') {
      kennel.signal('SIGKILL');
      await kennel.ended;
      kennel = await startKennel(cluster.url);
      return;
    }
    await cluster.down(victim === 'Postgres by SIGKILL' ? 'kill' : 'crash');
    await cluster.up();
  }

  /** Waits for the moment, or for the end of the move. */
  async function waitFor(moment: keyof typeof moments): Promise<void> {
    await lookInto(cluster.url, async (sql) => {
      const look = `select ${moments[moment]}
        or exists (select from control.moves where state in ('done', 'failed')) as now`;
      await until(async () => Boolean((await sql.unsafe(look))[0]?.now), patienceMs);
    });
  }

  const stateOf = async () => {
    const [row] = await services.control<{ state: string }>`select state from control.moves`;
    return row?.state ?? '';
  };

  /** Begins a move. After a crash the server may refuse some requests. */
  async function begin(to: string): Promise<void> {
    await until(async () => {
      const { status } = await operatorOf(kennel)('POST /api/admin/tenants/mover/move', { to });
      return status === 202;
    }, patienceMs);
  }

  /** Recovers as the maintenance of any server does. */
  async function settle(): Promise<void> {
    await until(async () => {
      await services.moves.recover().catch(() => {});
      return ['done', 'failed'].includes(await stateOf().catch(() => ''));
    }, patienceMs);
  }

  async function namesOfPets(): Promise<string[]> {
    const { id, ...ref } = await tenantOf(services, 'mover');
    const placement = services.fleet.modes.placementOf({ id, ...ref });
    const url = services.fleet.installation.adminUrlOf(placement);
    const rows = await lookInto(
      url,
      (sql) => sql<{ name: string }[]>`
        select name from ${sql(placement.schema)}.pets where tenant_id = ${id}`,
    );
    return rows.map(({ name }) => name);
  }

  it(`leaves one place with every row, ${kills} times`, async (test) => {
    const random = seededRandom(seed);
    const { state, writing } = write();
    test.after(() => {
      state.going = false;
    });
    const outcomes = new Map<string, number>();
    for (let round = 0; round < kills; round += 1) {
      const { isolation: from } = await tenantOf(services, 'mover');
      const to = choose(
        isolationModes.filter((mode) => mode !== from),
        random,
      );
      const victim = victims[(round + Math.floor(random() * 2)) % victims.length] ?? victims[0];
      const names = Object.keys(moments) as (keyof typeof moments)[];
      const moment = choose(names, random);
      const laterMs = random() * 30;
      await begin(to);
      await waitFor(moment);
      await pause(laterMs);
      await kill(victim);
      await settle();
      const what = `${from} to ${to}, ${victim}, ${laterMs} ms after "${moment}"`;
      const outcome = await stateOf();
      const now = await tenantOf(services, 'mover');
      assert.equal(now.isolation, outcome === 'done' ? to : from, what);
      await until(async () => (await leftOver(services.fleet, now)).length === 0).catch(async () =>
        assert.deepEqual(await leftOver(services.fleet, now), [], what),
      );
      const key = `${victim} ${outcome}`;
      outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
    }
    state.going = false;
    await writing;
    const { isolation } = await tenantOf(services, 'mover');
    await until(async () => {
      const { status, body } = await clientOf(kennel, tenant)('GET /api/me');
      return status === 200 && body.tenant.isolation === isolation;
    }, patienceMs);
    const names = await namesOfPets();
    const present = new Set(names);
    assert.deepEqual(
      [...state.acknowledged].filter((name) => !present.has(name)),
      [],
    );
    assert.equal(names.length, present.size);
    const added = names.filter((name) => name.endsWith(` of ${seed}`));
    assert.deepEqual(
      added.filter((name) => !state.sent.has(name)),
      [],
    );
    assert.equal(names.length - added.length, pets + 1);
    test.diagnostic(`${state.acknowledged.size} acknowledged writes; ${[...outcomes].join('; ')}`);
  });
});
