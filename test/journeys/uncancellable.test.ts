/**
 * One tenant's statements that nothing cancels: the others are served meanwhile, tenants come and go
 * beside it, and the process ends in time.
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
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';
import { uncancellable } from '../support/uncancellable.ts';
import { until } from '../support/until.ts';

/** Far above what such a statement takes on a busy machine. */
const patienceMs = 300_000;

/** A tenant may hold one of them. */
const connections = 4;

let database: TestDatabase;
let kennel: Kennel;
let stuck: Onboarded;
let other: Onboarded;

/** Makes each look at the tenant's pets a statement that nothing cancels, as an injected one would be. */
async function makeUncancellable(seconds: number): Promise<void> {
  await lookInto(database.url, (sql) =>
    sql.unsafe(`
      drop policy if exists uncancellable on shared.pets;
      create policy uncancellable on shared.pets as restrictive
      using (case when tenant_id = '${stuck.id}' then ${uncancellable(seconds)} = 0 else true end)`),
  );
}

const stuckBackends = () =>
  lookInto(database.url, async (sql) => {
    const rows = await sql`
      select from pg_stat_activity
      where usename like current_database() || '%serve' and application_name like 'kennel:%'`;
    return rows.length;
  });

async function unterminated(): Promise<number | undefined> {
  const { text } = await send(kennel.url, 'GET /metrics', undefined, bearer(adminToken));
  return samples(text).find(({ name }) => name === 'kennel_serving_lanes_unterminated')?.value;
}

function assertUnavailable(answer: Answer): void {
  assertProblem(answer, 503, 'unavailable');
  assert.equal(answer.headers['retry-after'], '1');
}

describe('a statement that nothing cancels', () => {
  before(async () => {
    database = await testDatabase();
    kennel = await startKennel(database.url, { DB_CONNECTIONS: `${connections}` });
    stuck = await onboard(kennel, 'stuck-pets');
    other = await onboard(kennel, 'other-pets');
  });

  after(async () => {
    await kennel.stop();
    await until(async () => (await stuckBackends()) === 0, patienceMs);
    await database.drop();
  });

  it('costs its tenant its share until its backend is gone, and nobody else', async () => {
    await makeUncancellable(10);
    assertUnavailable(await stuck.call('GET /api/pets'));
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
    assert.doesNotMatch(line ?? '', /strpos/);
    await makeUncancellable(0);
    await until(async () => (await stuck.call('GET /api/pets')).status === 200, patienceMs);
    assert.equal(await unterminated(), 0);
  });

  it('refuses a deletion that would wait for it, in time, and lets tenants come and go else', async () => {
    const leaving = await onboard(kennel, 'leaving-pets', { isolation: 'database' });
    const remove = () => operatorOf(kennel)(`DELETE /api/admin/tenants/${leaving.slug}`);
    await makeUncancellable(20);
    assertUnavailable(await stuck.call('GET /api/pets'));
    assertUnavailable(await remove());
    assert.equal(await unterminated(), 1);
    for (const isolation of ['schema', 'database']) {
      await onboard(kennel, `coming-${isolation}`, { isolation });
    }
    assert.equal((await operatorOf(kennel)('DELETE /api/admin/tenants/coming-schema')).status, 204);
    await until(async () => (await remove()).status === 204, patienceMs);
    await until(async () => (await unterminated()) === 0, patienceMs);
  });

  it('does not keep the process from ending in order', async () => {
    await makeUncancellable(15);
    const call = stuck.call('GET /api/pets');
    await until(async () => (await stuckBackends()) > 0);
    const startedAt = performance.now();
    kennel.signal('SIGTERM');
    assertUnavailable(await call);
    assert.equal((await kennel.ended).code, 0);
    assert.ok(performance.now() - startedAt < 10_000);
  });
});
