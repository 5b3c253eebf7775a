/** Settings for the whole server and in the URL, on a server of its own: all tests' sessions would have them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openBackstage } from '../../../src/backstage.ts';
import { readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/fleet/doctor/doctor.ts';
import { lookInto } from '../../support/sql.ts';
import { startTestCluster } from '../../support/test_cluster.ts';

describe('settings that sessions really have', () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster.stop());

  /** The findings, and the value that a session which serves really has. */
  async function look(setting: string, suffix = ''): Promise<{ found: string[]; value: string }> {
    const url = `${cluster.url}${suffix}`;
    const backstage = await openBackstage(readConfig({ DATABASE_URL: url, ADMIN_TOKEN: 'x' }), url);
    const { fleet, pools } = backstage;
    try {
      const findings = await examine(backstage, { databases: 1 });
      const [row] = await pools.serving.use(
        fleet.installation.shared.target,
        'test',
        (lane) => lane.plain<{ value: string }>`select current_setting(${setting}) as value`,
      );
      return {
        found: findings.map(({ check, where }) => `${check}: ${where}`),
        value: row?.value ?? '',
      };
    } finally {
      backstage.close();
    }
  }

  const named = (check: string, setting: string) =>
    ['kennel_control', 'kennel_serve'].map(
      (role) => `${check}: setting ${setting} of sessions of role ${role}`,
    );

  it('are as they should be on a fresh server', async () => {
    assert.deepEqual((await look('row_security')).found, []);
  });

  for (const [setting, value, check] of [
    ['session_replication_role', 'replica', 'setting_grave'],
    ['row_security', 'off', 'setting_grave'],
    ['transform_null_equals', 'on', 'setting_grave'],
    ['array_nulls', 'off', 'setting_wrong'],
    ['exit_on_error', 'on', 'setting_wrong'],
  ] as const) {
    it(`are found, or not had, where the whole server has ${setting} = ${value}`, async () => {
      await serverWide(`alter system set ${setting} = '${value}'`);
      const had = await look(setting);
      await serverWide(`alter system reset ${setting}`);
      assert.deepEqual(had.found, had.value === value ? named(check, setting) : []);
      assert.deepEqual((await look(setting)).found, []);
    });
  }

  it('are found, or not had, where the URL lifts a limit', async () => {
    const { found, value } = await look('lock_timeout', '?lock_timeout=0');
    assert.deepEqual(found, value === '0' ? named('setting_wrong', 'lock_timeout') : []);
  });

  async function serverWide(text: string): Promise<void> {
    await lookInto(cluster.url, async (sql) => {
      await sql.unsafe(text);
      await sql`select pg_reload_conf()`;
      await sql`select pg_sleep(0.2)`;
    });
  }
});
