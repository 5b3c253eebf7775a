/** A server that is killed during an onboarding leaves either a complete tenant or nothing. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type IsolationModeName, isolationModes } from '../../src/isolation/modes.ts';
import { type Answer, type Client, clientOf, operatorOf } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';
import { orphansIn, tracesOf } from '../support/traces.ts';
import { until } from '../support/until.ts';

/** `KILLS=20` kills at more moments. */
const momentsPerMode = Number(process.env.KILLS ?? 2);

/**
 * Far longer than a start with its recovery takes, and shorter than the time to the next recovery.
 */
const recoveredMs = 45_000;

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

for (const isolation of isolationModes) {
  describe(`a server that is killed while it creates a tenant: ${isolation}`, () => {
    const slug = `killed-${isolation}`;
    let wholeMs = 0;
    before(async () => {
      wholeMs = await timeToOnboard(kennel, slug, isolation);
    });

    it('leaves the tenant complete or absent after the next start', async () => {
      for (let round = 1; round <= momentsPerMode; round += 1) {
        const momentMs = Math.random() * wholeMs;
        void order(operatorOf(kennel), slug, isolation).catch(() => {});
        await kill(kennel, momentMs);
        // The next start recovers nothing that a session of the killed server still has locked.
        await until(async () => (await sessions()) === 0, recoveredMs);
        kennel = await startKennel(database.url);
        await until(() => completeOrAbsent(slug), recoveredMs).catch(async (cause) => {
          const left = [
            ...(await tracesOf(database.url, [slug])),
            ...(await orphansIn(database.url)),
          ];
          assert.fail(`Killed after ${momentMs} ms, it left ${left.join(', ')}: ${cause}`);
        });
        await assertFinishable(kennel, slug, isolation);
      }
    });

    it('leaves a tenant that another process can complete', async () => {
      for (let round = 1; round <= momentsPerMode; round += 1) {
        const victim = await startKennel(database.url);
        void order(operatorOf(victim), slug, isolation).catch(() => {});
        await kill(victim, Math.random() * wholeMs);
        await assertFinishable(kennel, slug, isolation);
      }
    });
  });
}

/** The same order every time, so that it is safe to repeat. */
function order(operator: Client, slug: string, isolation: IsolationModeName): Promise<Answer> {
  const body = { slug, name: 'Killed', isolation };
  return operator('POST /api/admin/tenants', body, { 'idempotency-key': `order of ${slug}` });
}

async function kill(victim: Kennel, afterMs: number): Promise<void> {
  await pause(afterMs);
  victim.signal('SIGKILL');
  await victim.ended;
}

/** Of every server, in the main database and in those of tenants. */
function sessions(): Promise<number> {
  return lookInto(database.url, async (sql) => {
    const rows = await sql`
      select from pg_stat_activity
      where starts_with(datname, current_database()) and application_name like 'kennel:%'`;
    return rows.length;
  });
}

async function completeOrAbsent(slug: string): Promise<boolean> {
  const { status, body } = await operatorOf(kennel)(`GET /api/admin/tenants/${slug}`);
  if ((await orphansIn(database.url)).length > 0) return false;
  return status === 200 ? body.status === 'active' : status === 404;
}

/** Repeating the order yields the tenant; erasing the tenant leaves nothing. */
async function assertFinishable(server: Kennel, slug: string, isolation: IsolationModeName) {
  const operator = operatorOf(server);
  // The killed process's session may hold its lock until Postgres has noticed the lost connection.
  let answer = await order(operator, slug, isolation);
  await until(async () => {
    if (answer.status !== 201) answer = await order(operator, slug, isolation);
    return answer.status === 201;
  }, recoveredMs);
  const apiKey: string = answer.body.admin.api_key;
  const { body } = await clientOf(server, { slug, apiKey })('GET /api/pets');
  assert.deepEqual(
    body.items.map(({ name }: { name: string }) => name),
    ['Sample Pet'],
  );
  await remove(server, slug);
  assert.deepEqual(await orphansIn(database.url), []);
  const left = await tracesOf(database.url, [slug]);
  assert.deepEqual(left, ['table control.audit_events']);
}

/** A busy machine may answer 503 and ask to retry; any other answer than 204 is a fault. */
async function remove(server: Kennel, slug: string): Promise<void> {
  let status: number | undefined = 503;
  await until(async () => {
    ({ status } = await operatorOf(server)(`DELETE /api/admin/tenants/${slug}`));
    return status !== 503;
  }, recoveredMs);
  assert.equal(status, 204, errorsOf(server));
}

async function timeToOnboard(server: Kennel, slug: string, isolation: IsolationModeName) {
  const startedAt = performance.now();
  const { status } = await order(operatorOf(server), slug, isolation);
  assert.equal(status, 201, errorsOf(server));
  const wholeMs = performance.now() - startedAt;
  await remove(server, slug);
  return wholeMs;
}

function errorsOf({ stdout }: Kennel): string {
  return stdout()
    .split('\n')
    .filter((line) => line.includes('"level":"error"'))
    .join('\n');
}
