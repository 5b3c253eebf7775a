/**
 * One tenant's statements that cannot be cancelled: the others are served meanwhile, tenants are
 * created and erased beside it, and the process ends in time.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  type Answer,
  assertProblem,
  bearer,
  type Onboarded,
  onboard,
  operatorOf,
  send,
} from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { lookInto } from '../support/sql.ts';
import { StoppedBackends, sleep } from '../support/stopped_backends.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

/** Far longer than the end of a resumed backend takes on a busy machine. */
const patienceMs = 60_000;

/** A tenant may hold one of them. */
const connections = 4;

let database: { url: string; stop(): Promise<void> };
let backends: StoppedBackends;
let kennel: Kennel;
let stuck: Onboarded;
let other: Onboarded;

/** Makes each read of the tenant's pets a statement that waits, as an injected one would. */
async function makeSleep(sleeps: boolean): Promise<void> {
  const condition = sleeps
    ? `case when tenant_id = '${stuck.id}' then ${sleep} is null end`
    : 'true';
  await lookInto(database.url, (sql) =>
    sql.unsafe(`
      drop policy if exists sleeping on shared.pets;
      create policy sleeping on shared.pets as restrictive using (${condition})`),
  );
}

/** Begins a call of the tenant, whose backend does not end before it is resumed. */
async function beginUnendingly(): Promise<{ call: Promise<Answer> }> {
  await makeSleep(true);
  return backends.stopIn(() => stuck.call('GET /api/pets'));
}

async function callUnendingly(): Promise<Answer> {
  return (await beginUnendingly()).call;
}

async function resume(): Promise<void> {
  backends.resumeAll();
  await makeSleep(false);
}

async function unterminated(): Promise<number | undefined> {
  const { text } = await send(kennel.url, 'GET /metrics', undefined, bearer(adminToken));
  return samples(text).find(({ name }) => name === 'kennel_serving_lanes_unterminated')?.value;
}

function assertUnavailable(answer: Answer): void {
  assertProblem(answer, 503, 'unavailable');
  assert.equal(answer.headers['retry-after'], '1');
}

describe('a statement that cannot be cancelled', () => {
  before(async () => {
    database = await startTestCluster();
    backends = new StoppedBackends(database.url);
    kennel = await startKennel(database.url, { DB_CONNECTIONS: `${connections}` });
    stuck = await onboard(kennel, 'stuck-pets');
    other = await onboard(kennel, 'other-pets');
  });

  after(async () => {
    backends.resumeAll();
    await kennel.stop();
    await database.stop();
  });

  it("uses up its tenant's share until its backend is gone, and affects no other tenant", async () => {
    assertUnavailable(await callUnendingly());
    assert.equal(await unterminated(), 1);
    assertUnavailable(await stuck.call('GET /api/pets'));
    for (let turn = 0; turn < 2 * connections; turn += 1) {
      assert.equal((await other.call('GET /api/pets')).status, 200);
    }
    await until(() => kennel.stdout().includes('cannot be terminated'));
    const line = kennel
      .stdout()
      .split('\n')
      .find((text) => text.includes('cannot be terminated'));
    const { pid, tenant_id } = JSON.parse(line ?? '{}');
    assert.equal(typeof pid, 'number');
    assert.equal(tenant_id, stuck.id);
    assert.doesNotMatch(line ?? '', /pg_sleep/);
    await resume();
    await until(async () => (await stuck.call('GET /api/pets')).status === 200, patienceMs);
    assert.equal(await unterminated(), 0);
  });

  it('refuses in time a deletion that would wait for it, and does not hold up other creations and deletions', async () => {
    const leaving = await onboard(kennel, 'leaving-pets', { isolation: 'database' });
    const remove = () => operatorOf(kennel)(`DELETE /api/admin/tenants/${leaving.slug}`);
    assertUnavailable(await callUnendingly());
    assertUnavailable(await remove());
    assert.equal(await unterminated(), 1);
    for (const isolation of ['schema', 'database']) {
      await onboard(kennel, `coming-${isolation}`, { isolation });
    }
    assert.equal((await operatorOf(kennel)('DELETE /api/admin/tenants/coming-schema')).status, 204);
    await resume();
    await until(async () => (await remove()).status === 204, patienceMs);
    await until(async () => (await unterminated()) === 0, patienceMs);
  });

  it('does not keep the process from stopping with exit code 0', async () => {
    const { call } = await beginUnendingly();
    kennel.signal('SIGTERM');
    assertUnavailable(await call);
    // A shutdown that takes too long ends with 1.
    const { code, stderr } = await kennel.ended;
    assert.equal(code, 0, stderr);
  });
});
