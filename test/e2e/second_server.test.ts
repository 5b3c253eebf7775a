/** A second server that is down takes its own tenants down, and no others. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { addServer } from '../../src/control_plane/servers/add_server.ts';
import { limits } from '../../src/limits.ts';
import {
  type Answer,
  assertProblem,
  type Client,
  type Onboarded,
  onboard,
  operatorOf,
} from '../support/client.ts';
import { startKennel } from '../support/kennel.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { type SecondServer, startSecondServer } from '../support/second_server.ts';
import { until } from '../support/until.ts';

/** More requests than there are connections. */
const many = 64;

describe('a second server', () => {
  let database: TestDatabase;
  let second: SecondServer;
  let lab: Lab;
  let operator: Client;
  let inShared: Onboarded;
  let near: Onboarded;
  let far: Onboarded[];
  before(async () => {
    [database, second] = await Promise.all([testDatabase(), startSecondServer()]);
    lab = await openLab(database.url, { answerMs: 60_000 });
    operator = operatorOf(lab);
    lab.app.services.fleet.probeConnection = {
      ...limits.adminConnection,
      connectTimeoutMs: 60_000,
    };
    await addServer(lab.app.services.fleet, { name: 'two', url: second.url });
    inShared = await onboard(lab, 'in-shared', { isolation: 'shared' });
    near = await onboard(lab, 'near', { isolation: 'database', server: 'main' });
    far = [];
    for (const slug of ['far-one', 'far-two', 'far-three', 'far-four', 'far-five']) {
      far.push(await onboard(lab, slug, { isolation: 'database', server: 'two' }));
    }
  });
  after(async () => {
    await lab?.close();
    await Promise.all([second?.stop(), database?.drop()]);
  });

  /** Requests of every tenant on the second server at once. */
  const askFar = (): Promise<Answer>[] =>
    Array.from({ length: many }, (_, at) => far[at % far.length]?.call('GET /api/pets')).flatMap(
      (asked) => asked ?? [],
    );

  async function assertOthersServed(): Promise<void> {
    for (const tenant of [inShared, near]) {
      const read = await tenant.call('GET /api/pets');
      const added = await tenant.call('POST /api/pets', { name: 'Rex', species: 'dog' });
      assert.deepEqual([read.status, added.status], [200, 201], `${read.text} ${added.text}`);
    }
  }

  async function assertAllServed(): Promise<void> {
    await until(async () => (await Promise.all(askFar())).every(({ status }) => status === 200));
    await assertOthersServed();
  }

  it('serves its tenants like the main one', async () => {
    await assertAllServed();
    const { body } = await operator('GET /api/admin/servers');
    const [, two] = body.items;
    assert.deepEqual(
      [two.name, two.status, two.tenants, two.reachable],
      ['two', 'active', 5, true],
    );
    assert.ok(!JSON.stringify(body).includes(new URL(second.url).password));
  });

  it('is refused for other modes, and under another name', async () => {
    const order = { slug: 'new', name: 'New', plan: 'free' };
    const orders = [
      { ...order, isolation: 'database', server: 'moon' },
      { ...order, isolation: 'shared', server: 'two' },
    ];
    for (const refused of orders) {
      const answer = await operator('POST /api/admin/tenants', refused);
      assertProblem(answer, 422, 'invalid_input');
      assert.equal(answer.body.errors[0].path, 'server');
    }
    const move = 'POST /api/admin/tenants/near/move';
    assertProblem(await operator(move, { to: 'database', server: 'moon' }), 422, 'invalid_input');
    assertProblem(await operator(move, { to: 'schema', server: 'two' }), 422, 'invalid_input');
    assertProblem(await operator(move, { to: 'database', server: 'main' }), 409, 'conflict');
  });

  it('takes down its tenants alone when it refuses connections, and comes back by itself', async () => {
    await second.cutOff();
    const asked = askFar();
    await assertOthersServed();
    for (const answer of await Promise.all(asked)) assertProblem(answer, 503, 'unavailable');
    await second.comeBack();
    await assertAllServed();
  });

  it('takes down its tenants alone when it hangs, and comes back by itself', async () => {
    second.hang();
    const asked = askFar();
    await until(() => lab.app.services.pools.serving.stats.busy > 0);
    await assertOthersServed();
    for (const answer of await Promise.all(asked)) assertProblem(answer, 503, 'unavailable');
    // Now each attempt to connect hangs, too.
    const again = askFar();
    await assertOthersServed();
    for (const answer of await Promise.all(again)) assertProblem(answer, 503, 'unavailable');
    await second.comeBack();
    await assertAllServed();
  });

  it('is not needed for a start', async () => {
    second.hang();
    const started = await startKennel(database.url, { DEMO: '0' });
    const warnings = started
      .stdout()
      .split('\n')
      .filter((line) => line.includes('server_unreachable'));
    await started.stop();
    await second.comeBack();
    assert.equal(warnings.length, 1);
  });
});
