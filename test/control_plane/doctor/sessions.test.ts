/** Settings for the whole server, on a server of its own: all tests' sessions would have them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { settingsOf } from '../../support/setting_classes.ts';
import { lookInto } from '../../support/sql.ts';
import { startTestCluster } from '../../support/test_cluster.ts';
import { until } from '../../support/until.ts';

describe('settings that sessions really have', () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  let services: Services;
  before(async () => {
    cluster = await startTestCluster();
    services = await opened();
  });
  after(async () => {
    services.close();
    await cluster.stop();
  });

  function opened(): Promise<Services> {
    return openServices(readConfig({ DATABASE_URL: cluster.url }), cluster.url);
  }

  async function look({ fleet, pools }: Services = services): Promise<string[]> {
    const findings = await examine({ fleet, pools }, { databases: 1 });
    return findings.map(({ check, where }) => `${check}: ${where}`);
  }

  const named = (check: string, setting: string) =>
    ['kennel', 'kennel_control', 'kennel_serve'].map(
      (role) => `${check}: setting ${setting} of sessions of role ${role}`,
    );

  it('are as they should be on a fresh server', async () => {
    assert.deepEqual(await look(), []);
  });

  for (const [setting, value, check] of [
    ['session_replication_role', 'replica', 'setting_unsafe'],
    ['lo_compat_privileges', 'on', 'setting_unsafe'],
    ['transaction_timeout', '10min', 'setting_wrong'],
    ['restrict_nonsystem_relation_kind', 'view', 'setting_wrong'],
    ['row_security', 'off', 'setting_unsafe'],
    ['bytea_output', 'escape', 'setting_wrong'],
    ['enable_seqscan', 'off', 'setting_wrong'],
  ] as const) {
    it(`are found, or overridden by the session, when the server sets ${setting} = ${value}`, async (t) => {
      if (!(await isKnown(setting))) return t.skip(`this Postgres has no ${setting}`);
      await serverWide(`alter system set ${setting} = '${value}'`, setting);
      const found = await look();
      await serverWide(`alter system reset ${setting}`, setting);
      const looked = [...settingsOf('decisive'), ...settingsOf('answering')];
      const isFound = looked.includes(setting);
      // Our logins' own limit comes before the server's.
      const expected = named(check, setting).filter(
        (line) => setting !== 'transaction_timeout' || line.endsWith('role kennel'),
      );
      assert.deepEqual(found, isFound ? expected : []);
      assert.deepEqual(await look(), []);
    });
  }

  it('are found where the administrator has them', async () => {
    const change = (text: string) => lookInto(cluster.url, (sql) => sql.unsafe(text));
    await change("alter role kennel set session_replication_role = 'replica'");
    const later = await opened();
    const found = await look(later);
    later.close();
    await change('alter role kennel reset session_replication_role');
    assert.deepEqual(found, named('setting_unsafe', 'session_replication_role').slice(0, 1));
  });

  async function isKnown(setting: string): Promise<boolean> {
    const rows = await lookInto(
      cluster.url,
      (sql) => sql`select from pg_settings where name = ${setting}`,
    );
    return rows.length > 0;
  }

  /** Returns when the server has told all sessions: it tells them before it opens a new one. */
  async function serverWide(text: string, setting: string): Promise<void> {
    const before = await currentValue(setting);
    await lookInto(cluster.url, async (sql) => {
      await sql.unsafe(text);
      await sql`select pg_reload_conf()`;
    });
    await until(async () => (await currentValue(setting)) !== before);
  }

  async function currentValue(setting: string): Promise<string | undefined> {
    const [row] = await lookInto(
      cluster.url,
      (sql) => sql<{ value: string }[]>`select current_setting(${setting}) as value`,
    );
    return row?.value;
  }
});
