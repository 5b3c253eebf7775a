/**
 * A server whose database is reached over TLS survives all that its database may do to a
 * connection.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Embedded, startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { type Onboarded, onboard } from '../support/client.ts';
import { adminToken, type Kennel, runKennel, startKennel } from '../support/kennel.ts';
import { selfSigned } from '../support/self_signed.ts';
import { lookInto } from '../support/sql.ts';
import { openFolder, testLimits, unsafeButFast } from '../support/test_cluster.ts';
import { turnOnTls } from '../support/tls_server.ts';
import { until } from '../support/until.ts';

const own = selfSigned('127.0.0.1');
const skip = own ? false : 'there is no openssl command';
const modes = ['shared', 'schema', 'database'] as const;
const patienceMs = 30_000;

describe('a server whose database is reached over TLS', { timeout: 300_000, skip }, () => {
  let parent: string;
  let cluster: Embedded;
  let kennel: Kennel;
  let tenants: Onboarded[];
  let hasEnded = false;

  before(async () => {
    parent = await openFolder();
    const folder = join(parent, 'postgres');
    cluster = await startEmbedded({ folder, settings: unsafeButFast, limits: testLimits });
    if (own) await turnOnTls(cluster.url, own);
    kennel = await startKennel(tls(cluster.url));
    void kennel.ended.then(() => {
      hasEnded = true;
    });
    tenants = await Promise.all(
      modes.map((isolation) => onboard(kennel, `the-${isolation}`, { isolation })),
    );
  });
  after(async () => {
    await kennel.stop();
    await cluster.halt();
    await rm(parent, { recursive: true });
  });

  const tls = (url: string) => `${url}?sslmode=require&channel_binding=require`;

  const statuses = () =>
    Promise.all(tenants.map(async ({ call }) => (await call('GET /api/pets')).status));

  async function serves(expected: readonly number[] = [200, 200, 200]): Promise<void> {
    await until(async () => String(await statuses()) === String(expected), patienceMs);
    assert.equal(hasEnded, false, kennel.stderr());
  }

  async function whileCalled(fault: () => Promise<unknown>): Promise<void> {
    let isOver = false;
    const calls = (async () => {
      while (!isOver) {
        for (const status of await statuses()) assert.ok(status === 200 || status === 503);
      }
    })();
    await fault().finally(() => {
      isOver = true;
    });
    await calls;
  }

  it('exits with 1 and one line, each time, when the database does not exist', async () => {
    const url = new URL(tls(cluster.url));
    url.pathname = '/no_such';
    for (let round = 0; round < 3; round += 1) {
      const { code, stderr } = await runKennel({ DATABASE_URL: url.href, ADMIN_TOKEN: adminToken });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^kennel: Cannot use DATABASE_URL \(.+\): there is no such database\n$/);
    }
  });

  it('recovers when all its backends are terminated, again and again', async () => {
    await serves();
    await whileCalled(async () => {
      for (let round = 0; round < 10; round += 1) {
        await lookInto(
          cluster.url,
          (sql) => sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name like 'kennel:%'`,
        );
      }
    });
    await serves();
  });

  it('recovers when Postgres is restarted', async () => {
    for (let round = 0; round < 3; round += 1) {
      await whileCalled(async () => {
        const postmaster = await runningPostmaster(join(parent, 'postgres', 'data'));
        // A fast shutdown: each session is told FATAL 57P01.
        process.kill(postmaster?.pid ?? assert.fail(), 'SIGINT');
        await until(async () => cluster.revive().catch(() => false), patienceMs);
      });
      await serves();
    }
  });

  it('refuses only tenants of the shared login when it is at its connection limit', async () => {
    const limit = (most: number) =>
      lookInto(cluster.url, async (sql) => {
        await sql`alter role kennel_serve connection limit ${sql.unsafe(String(most))}`;
        await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kennel_serve'`;
      });
    await limit(0);
    // The third has a login of its own.
    await until(async () => String(await statuses()).startsWith('503,503,'), patienceMs);
    await limit(-1);
    await serves();
  });

  it('refuses only the tenant whose own database was dropped', async () => {
    await lookInto(cluster.url, async (sql) => {
      const [row] = await sql<{ name: string }[]>`
        select datname as name from pg_database where starts_with(datname, 'kennel_t_')`;
      await sql`drop database ${sql(row?.name ?? '')} with (force)`;
    });
    await serves([200, 200, 503]);
    await serves([200, 200, 503]);
  });
});
