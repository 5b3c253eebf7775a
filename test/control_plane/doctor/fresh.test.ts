/** On a server of its own, because others' databases and rights on them are findings too. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import { parseSlug } from '../../../src/kernel/tenant.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { lookInto } from '../../support/sql.ts';
import { startTestCluster } from '../../support/test_cluster.ts';

describe('a fresh install with tenants of all modes', () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster.stop());

  it('has no finding', async () => {
    await opened(cluster.url, async (services) => {
      assert.deepEqual(await examine(services, { databases: 2 }), []);
    });
  });

  describe('by an administrator who is no superuser', () => {
    const main = 'kennel_modest';
    let url: URL;
    before(async () => {
      await lookInto(cluster.url, async (sql) => {
        await sql`create role modest login createdb createrole password 'modest'`;
        await sql`create database ${sql(main)} owner modest`;
        await sql`grant set on parameter track_activities to modest`;
      });
      url = new URL(cluster.url);
      [url.username, url.password, url.pathname] = ['modest', 'modest', main];
    });

    it('has only warnings, and a superuser can fix each of them', async () => {
      await opened(url.href, async (services) => {
        const found = await examine(services, { databases: 2 });
        const checks = new Set(found.map(({ check }) => check));
        const left = [
          'advisory_locks_allowed',
          'announcements_allowed',
          'large_objects_allowed',
          'log_messages_allowed',
          'plpgsql_allowed',
          'query_texts_allowed',
          'session_control_allowed',
          'set_config_allowed',
        ];
        assert.deepEqual([...checks].sort(), left);
        for (const { database, fix } of found) {
          assert.ok(fix);
          const target = new URL(cluster.url);
          target.pathname = database;
          await lookInto(target.href, (sql) => sql.unsafe(fix));
        }
        assert.deepEqual(await examine(services, { databases: 2 }), []);
      });
    });

    it('goes on working when they are fixed', async () => {
      await opened(url.href, async (services) => {
        assert.deepEqual(await examine(services, { databases: 2 }), []);
      });
    });
  });
});

/** Installs, onboards a tenant of each mode unless it is there, and lets go again. */
async function opened(url: string, look: (services: Services) => Promise<void>): Promise<void> {
  const services = await openServices(readConfig({ DATABASE_URL: url }), url);
  try {
    for (const isolation of isolationModes) await onboard(services, isolation);
    await look(services);
  } finally {
    services.close();
  }
}

async function onboard(
  { onboarding }: Services,
  isolation: (typeof isolationModes)[number],
): Promise<void> {
  const slug = parseSlug(`${isolation}-zoo`);
  assert.ok(slug);
  await onboarding.create(
    { slug, name: 'Zoo', plan: 'free', isolation, adminEmail: 'admin@zoo.example' },
    { requestId: null, idempotencyKey: `demo ${slug}`, rawBody: slug },
  );
}
