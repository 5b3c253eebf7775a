/**
 * Two servers on one database: a change by one of them is effective in the other when it is announced.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { limits } from '../../src/limits.ts';
import {
  type Answer,
  assertProblem,
  type Client,
  clientOf,
  onboard,
  operatorOf,
} from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { describeWithPrivateRedis } from '../support/redis.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

/** Without an announcement a change is effective only after `staleAfterMs`. */
const announcedMs = limits.directory.staleAfterMs / 2;

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

describe('a change in one process', () => {
  let here: Kennel;
  let there: Kennel;
  before(async () => {
    [here, there] = await Promise.all([startKennel(database.url), startKennel(database.url)]);
  });
  after(() => Promise.all([here.stop(), there.stop()]));

  /** A tenant that one server creates and the other knows. */
  async function knownThere(slug: string, plan = 'enterprise') {
    const { apiKey, call } = await onboard(here, slug, { plan });
    const callThere = clientOf(there, { slug, apiKey });
    assert.equal((await callThere('GET /api/me')).status, 200);
    return { call, callThere };
  }

  it('changes a setting in the other process', async () => {
    const { call, callThere } = await knownThere('setting-pets');
    await call('PUT /api/config/welcome_message', { value: 'Woof' });
    await soon(callThere, 'GET /api/config', ({ body }) => body.welcome_message === 'Woof');
  });

  it('suspends and resumes a tenant in the other process', async () => {
    const { callThere } = await knownThere('suspended-pets');
    const operator = operatorOf(here);
    await operator('PATCH /api/admin/tenants/suspended-pets', { status: 'suspended' });
    await soon(callThere, 'GET /api/me', ({ status }) => status === 404);
    await operator('PATCH /api/admin/tenants/suspended-pets', { status: 'active' });
    await soon(callThere, 'GET /api/me', ({ status }) => status === 200);
  });

  it('revokes a key in the other process', async () => {
    const { call, callThere } = await knownThere('revoked-pets');
    const { user } = (await call('GET /api/me')).body;
    const { body: key } = await call(`POST /api/users/${user.id}/keys`);
    const leaver = clientOf(there, { slug: 'revoked-pets', apiKey: key.api_key });
    assert.equal((await leaver('GET /api/me')).status, 200);
    await call(`DELETE /api/keys/${key.id}`);
    await soon(leaver, 'GET /api/me', ({ status }) => status === 401);
    assert.equal((await callThere('GET /api/me')).status, 200);
  });

  it('edits a plan in the other process', async () => {
    const operator = operatorOf(here);
    await operator('PUT /api/admin/plans/edited', { requests_per_hour: 5_000 });
    const { callThere } = await knownThere('planned-pets', 'edited');
    await operator('PUT /api/admin/plans/edited', { requests_per_hour: 6_000 });
    const limit = ({ headers }: Answer) => headers['x-ratelimit-limit'];
    await soon(callThere, 'GET /api/me', (answer) => limit(answer) === '6000');
  });

  it('deletes a tenant in the other process, where its key stays invalid for a new tenant of that slug', async () => {
    const { callThere } = await knownThere('deleted-pets');
    await operatorOf(here)('DELETE /api/admin/tenants/deleted-pets');
    await soon(callThere, 'GET /api/me', ({ status }) => status === 401);
    await knownThere('deleted-pets');
    assertProblem(await callThere('GET /api/me'), 401, 'unauthenticated');
  });

  it('arrives after the listening connection was cut', async () => {
    const { call, callThere } = await knownThere('cut-off-pets');
    assert.ok((await cutListeners(database.url)) >= 2);
    await call('PUT /api/config/welcome_message', { value: 'Missed?' });
    const heard = ({ body }: Answer) => body.welcome_message === 'Missed?';
    await soon(callThere, 'GET /api/config', heard);
    await until(() => figure(there, 'kennel_listener_connected', 1));
    await call('PUT /api/config/welcome_message', { value: 'Heard' });
    await soon(callThere, 'GET /api/config', ({ body }) => body.welcome_message === 'Heard');
  });
});

describeWithPrivateRedis('two processes on one Redis', (redis) => {
  let here: Kennel;
  let there: Kennel;
  before(async () => {
    const variables = { REDIS_URL: redis().url };
    [here, there] = await Promise.all([
      startKennel(database.url, variables),
      startKennel(database.url, variables),
    ]);
    const plan = { requests_per_hour: 1, burst: 20 };
    await operatorOf(here)('PUT /api/admin/plans/twenty', plan);
  });
  after(() => Promise.all([here.stop(), there.stop()]));

  /** The statuses of ten requests more than a new tenant's budget allows. */
  async function spendInBoth(): Promise<(number | undefined)[]> {
    const { slug, apiKey, call } = await onboard(here, `sharing-${randomInt(1e9)}`, {
      plan: 'twenty',
    });
    const calls = [call, clientOf(there, { slug, apiKey })];
    const answers = await Promise.all(
      Array.from({ length: 15 }, () => calls.map((each) => each('GET /api/me'))).flat(),
    );
    return answers.map(({ status }) => status);
  }

  /** How many budgets each process has counted by itself. */
  const ownBudgets = () =>
    Promise.all([here, there].map((kennel) => metric(kennel, 'kennel_limiter_buckets')));

  it('share one budget per tenant', async () => {
    // On a busy machine Redis can miss its time limit; then each process counts by itself.
    let statuses: (number | undefined)[] = [];
    await until(async () => {
      const before = await ownBudgets();
      statuses = await spendInBoth();
      return String(await ownBudgets()) === String(before);
    }, 60_000);
    assert.equal(statuses.filter((status) => status === 200).length, 20);
    assert.equal(statuses.filter((status) => status === 429).length, 10);
  });

  it('keep serving without Redis, and use it again', async () => {
    const { call } = await onboard(here, 'lasting-pets');
    await redis().kill();
    for (let count = 0; count < 20; count += 1) {
      assert.equal((await call('GET /api/me')).status, 200);
    }
    await until(() => figure(here, 'kennel_limiter_degraded', 1));
    await redis().restart();
    await until(async () => {
      assert.equal((await call('GET /api/me')).status, 200);
      return figure(here, 'kennel_limiter_degraded', 0);
    });
  });
});

/** Asks until the answer fits. */
function soon(call: Client, line: string, fits: (answer: Answer) => boolean): Promise<void> {
  return until(async () => fits(await call(line)), announcedMs);
}

/** Whether a metric of `/metrics` has a value. */
async function figure(kennel: Kennel, name: string, value: number): Promise<boolean> {
  return (await metric(kennel, name)) === value;
}

async function metric(kennel: Kennel, name: string): Promise<number | undefined> {
  const { text } = await operatorOf(kennel)('GET /metrics');
  return samples(text).find((sample) => sample.name === name)?.value;
}

/**
 * Ends every session that listens.
 *
 * @returns how many there were.
 */
function cutListeners(databaseUrl: string): Promise<number> {
  return lookInto(databaseUrl, async (sql) => {
    const cut = await sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and query = 'listen "kennel"'`;
    return cut.length;
  });
}
