/** An administrator who is no superuser drops a database in which autovacuum works. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Connection } from '../../src/postgres/connection.ts';
import { dropDatabase } from '../../src/postgres/drop_database.ts';
import { createAdministrator } from '../support/administrator.ts';
import { connectionLimits } from '../support/connection.ts';
import { lookInto } from '../support/sql.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

/** Vacuums each table within a second, and so slowly that it does not end. */
const endlessVacuum = [
  'alter system set autovacuum_naptime = 1',
  'alter system set autovacuum_vacuum_cost_delay = 100',
  'alter system set autovacuum_vacuum_cost_limit = 1',
  'select pg_reload_conf()',
];

describe('a database in which autovacuum works', () => {
  let server: Awaited<ReturnType<typeof startTestCluster>>;
  let admin: Connection;
  let inside: string;
  before(async () => {
    server = await startTestCluster();
    await lookInto(server.url, async (sql) => {
      for (const setting of endlessVacuum) await sql.unsafe(setting);
    });
    const url = await createAdministrator(server.url, 'modest');
    admin = await Connection.open(url, connectionLimits);
    await admin.script('create database victim');
    inside = Object.assign(new URL(url), { pathname: 'victim' }).href;
    await lookInto(inside, async (sql) => {
      await sql`create table big as select repeat('x', 500) as filler from generate_series(1, 50000)`;
      await sql`delete from big`;
    });
    await until(async () => (await workers()) > 0, 120_000);
  });
  after(() => server.stop());

  async function workers(): Promise<number> {
    const found = await admin.plain`
      select from pg_stat_activity where datname = 'victim' and usesysid is null`;
    return found.length;
  }

  it('control: cannot be dropped with force', async () => {
    const other = await Connection.open(admin.url, connectionLimits);
    await assert.rejects(other.script('drop database victim with (force)'), { code: '42501' });
    assert.notEqual(await workers(), 0);
  });

  it('is dropped, with the sessions in it', async () => {
    const session = await Connection.open(inside, connectionLimits);
    await dropDatabase(admin, 'victim');
    await until(async () => !session.live);
    assert.deepEqual(await admin.plain`select from pg_database where datname = 'victim'`, []);
  });
});
