import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settingClass, settingClasses } from '../../../src/control_plane/doctor/setting_classes.ts';
import { gravityOf } from '../../../src/control_plane/doctor/settings.ts';
import { serverUrl } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';

describe('settingClasses', () => {
  it('have each setting that a session of this server can have', async () => {
    const rows = await lookInto(
      await serverUrl(),
      (sql) => sql<{ name: string }[]>`
        select name from pg_settings
        where context in ('user', 'superuser', 'backend', 'superuser-backend')
          and category <> 'Customized Options'
        order by name`,
    );
    const unknown = rows.filter(({ name }) => settingClass(name) === null);
    assert.deepEqual(unknown, [], 'decide what Kennel does about these');
  });

  it('have each setting once', () => {
    const all = Object.values(settingClasses).flat();
    assert.equal(new Set(all.map((name) => name.toLowerCase())).size, all.length);
  });

  it('say null of what no table of ours has', () => {
    assert.equal(settingClass('enable_time_travel'), null);
    assert.equal(gravityOf('enable_time_travel'), 'setting_unknown');
  });
});
