/** A trail that is older than its chains. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Backstage, openBackstage } from '../../src/backstage.ts';
import { bounds, readConfig } from '../../src/config.ts';
import { verifyTrail } from '../../src/fleet/audit_verification.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { register } from '../support/registered.ts';
import { lookInto } from '../support/sql.ts';

describe('a trail from before it was chained', () => {
  let database: TestDatabase;
  let sqlFolder: string;
  before(async () => {
    database = await testDatabase();
    sqlFolder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', sqlFolder, { recursive: true });
    const control = join(sqlFolder, 'control');
    const later = (await readdir(control)).filter((file) => file >= '005');
    for (const file of later) await rm(join(control, file));
  });
  after(async () => {
    await database.drop();
    await rm(sqlFolder, { recursive: true });
  });

  async function withBackstage<Result>(
    folder: string,
    work: (backstage: Backstage) => Promise<Result>,
  ): Promise<Result> {
    const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder: folder };
    const backstage = await openBackstage(config, database.url);
    return work(backstage).finally(() => backstage.close());
  }

  it('is chained in the order in which it was written, and goes on from there', async () => {
    const tenants = await withBackstage(sqlFolder, async ({ control }) => {
      // In those days everybody could announce, and the triggers relied on it.
      await lookInto(database.url, (sql) => sql`grant execute on function pg_notify to public`);
      const found = [await register(control, 'one'), await register(control, 'the-other')];
      for (const { id } of [...found, ...found, ...found]) {
        await control`
          insert into control.audit_events (id, event, actor, tenant_id, audience, details)
          values (${randomUUID()}, 'config_changed', 'operator', ${id}, 'tenant', '{"a": 1}'),
            (${randomUUID()}, 'plan_changed', 'operator', null, 'operator', '{}')`;
      }
      return found;
    });
    await withBackstage('sql', async ({ control, registry }) => {
      for (const { slug } of tenants) await registry.patch(slug, { status: 'suspended' }, null);
      const found = await verifyTrail(control, {
        ...bounds.verification,
        slug: null,
        checkpoints: [],
      });
      assert.deepEqual(found, { chains: 3, events: 14, findings: [], unnamed: 0 });
      const [row] = await control<{ ordered: boolean }>`
        select bool_and(position = place) as ordered
        from (
          select position, row_number() over (partition by tenant_id order by seq) as place
          from control.audit_events
        ) as event`;
      assert.equal(row?.ordered, true);
    });
  });

  it('does not keep the server from starting when an event stands before the first place', async () => {
    const older = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    const forged = await testDatabase();
    try {
      await cp('sql', older, { recursive: true });
      const control = join(older, 'control');
      const later = (await readdir(control)).filter((file) => file >= '007');
      for (const file of later) await rm(join(control, file));
      const url = forged.url;
      const config = { ...readConfig({ DATABASE_URL: url }), sqlFolder: older };
      const before = await openBackstage(config, url);
      before.close();
      await lookInto(
        url,
        (sql) => sql`
        insert into control.audit_events (id, event, actor, tenant_id, audience, details)
        values (gen_random_uuid(), 'plan_changed', 'operator', null, 'operator', '{}')`,
      );
      await lookInto(url, (sql) => sql`update control.audit_events set position = 0`);
      const after = await openBackstage({ ...config, sqlFolder: 'sql' }, url);
      after.close();
    } finally {
      await forged.drop();
      await rm(older, { recursive: true });
    }
  });
});
