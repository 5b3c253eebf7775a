/**
 * The process: how it shuts down, its answers without its database, and when it serves again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type postgres from 'postgres';
import {
  type Answer,
  assertProblem,
  bearer,
  clientOf,
  onboard,
  operatorOf,
  send,
} from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let kennel: Kennel;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('SIGTERM under load', () => {
  it('answers /readyz with 503, lets running requests finish and exits with 0', async () => {
    // Long enough for the questions below on a busy machine.
    const leaving = await startKennel(database.url, { SHUTDOWN_DELAY_MS: '2000' });
    const { slug, apiKey } = await onboard(leaving, 'leaving-pets');
    const upload = await beginUpload(leaving, { slug, apiKey });
    const load = Array.from({ length: 8 }, () => answersUntilGone(leaving, { slug, apiKey }));
    await until(async () => (await send(leaving.url, 'GET /readyz')).status === 200);

    leaving.signal('SIGTERM');
    await until(async () => (await send(leaving.url, 'GET /readyz')).status === 503);
    assert.equal((await send(leaving.url, 'GET /livez')).status, 200);
    const answers = (await Promise.all(load)).flat();
    assert.equal(await upload.finish(), 201);
    // A shutdown that takes too long ends with 1.
    const { code, stdout, stderr } = await leaving.ended;
    assert.equal(code, 0, stderr);
    assert.ok(answers.length > 0);
    for (const { status, text } of answers) assert.equal(status, 200, text);
    assert.match(stdout, /"msg":"stopped"/);

    // Collected usage is written: every answered request has been billed.
    const { body } = await clientOf(kennel, { slug, apiKey })('GET /api/usage');
    assert.equal(body.items[0].billed, answers.length + 2);
    assert.equal((await clientOf(kennel, { slug, apiKey })('GET /api/pets')).body.items.length, 2);
  });
});

describe('a database that becomes unreachable', () => {
  it('causes 503 until it is back, and does not end the process', async () => {
    const { call } = await onboard(kennel, 'patient-pets');
    await closeDatabase(database.url);
    try {
      const notReady = await send(kennel.url, 'GET /readyz');
      assertProblem(notReady, 503, 'unavailable');
      assert.equal((await send(kennel.url, 'GET /livez')).status, 200);
      const refused = await call('GET /api/pets');
      assertProblem(refused, 503, 'unavailable');
      assert.equal(refused.headers['retry-after'], '1');
      assertProblem(await operatorOf(kennel)('GET /api/admin/tenants'), 503, 'unavailable');
    } finally {
      await openDatabase(database.url);
    }
    await until(async () => (await send(kennel.url, 'GET /readyz')).status === 200);
    await until(async () => (await call('GET /api/pets')).status === 200);
  });
});

describe('a spent budget', () => {
  it('admits the request again after Retry-After', async () => {
    const plan = { requests_per_hour: 7_200, burst: 3 };
    await operatorOf(kennel)('PUT /api/admin/plans/brisk', plan);
    const { call } = await onboard(kennel, 'brisk-pets', { plan: 'brisk' });
    let answer = await call('GET /api/me');
    assert.deepEqual(budget(answer), [
      '7200',
      '2',
      '1',
      '"brisk";q=7200;w=3600',
      '"brisk";r=2;t=1',
    ]);
    // At once: the budget grows by two a second.
    const answers = await Promise.all(Array.from({ length: 10 }, () => call('GET /api/me')));
    answer = answers.find(({ status }) => status === 429) ?? answer;
    assertProblem(answer, 429, 'rate_limited');
    assert.equal(answer.headers['x-ratelimit-remaining'], '0');
    const seconds = Number(answer.headers['retry-after']);
    assert.ok(seconds >= 1 && seconds <= 2, String(seconds));
    await pause(seconds * 1_000);
    assert.equal((await call('GET /api/me')).status, 200);
  });
});

/** Ends all sessions of the database and admits none, as if its server were gone. */
function closeDatabase(url: string): Promise<unknown> {
  return fromOutside(url, async (sql, name) => {
    await sql`alter database ${sql(name)} with allow_connections false`;
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  });
}

function openDatabase(url: string): Promise<unknown> {
  return fromOutside(
    url,
    (sql, name) => sql`alter database ${sql(name)} with allow_connections true`,
  );
}

function fromOutside(
  url: string,
  work: (sql: postgres.Sql, name: string) => Promise<unknown>,
): Promise<unknown> {
  const elsewhere = new URL(url);
  elsewhere.pathname = '/postgres';
  return lookInto(elsewhere.href, (sql) => work(sql, new URL(url).pathname.slice(1)));
}

type Identity = { slug: string; apiKey: string };

/** Sends the head and half the body of a request; `finish` sends the other half. */
async function beginUpload({ url }: Kennel, { slug, apiKey }: Identity) {
  const body = JSON.stringify({ name: 'Late', species: 'sloth' });
  const outgoing = request(`${url}/${slug}/api/pets`, {
    method: 'POST',
    headers: {
      ...bearer(apiKey),
      'content-type': 'application/json',
      'content-length': body.length,
    },
  });
  await new Promise((resolve) => outgoing.write(body.slice(0, 5), resolve));
  return {
    finish: async () => {
      outgoing.end(body.slice(5));
      const [incoming] = await once(outgoing, 'response');
      incoming.resume();
      return incoming.statusCode;
    },
  };
}

/** Sends one request after the other until no connection is accepted any more. */
async function answersUntilGone(server: Kennel, identity: Identity): Promise<Answer[]> {
  const call = clientOf(server, identity);
  const answers: Answer[] = [];
  try {
    for (;;) answers.push(await call('GET /api/pets'));
  } catch {
    return answers;
  }
}

function budget({ headers }: Answer) {
  const { 'ratelimit-policy': policy, ratelimit } = headers;
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map(
    (name) => headers[`x-ratelimit-${name}`],
  );
  return [limit, remaining, reset, policy, ratelimit];
}
