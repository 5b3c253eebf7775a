import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pinnedSettings } from '../../../src/postgres/session_settings.ts';
import { serverUrl } from '../../support/postgres.ts';
import { allSettings, settingsOf } from '../../support/setting_classes.ts';
import { lookInto } from '../../support/sql.ts';

describe('setting_classes.json', () => {
  it('has each setting that a session of this server can have', async () => {
    const rows = await lookInto(
      await serverUrl(),
      (sql) => sql<{ name: string }[]>`
        select name from pg_settings
        where context in ('user', 'superuser', 'backend', 'superuser-backend')
          and category <> 'Customized Options'
        order by name`,
    );
    const known = new Set(allSettings().map((name) => name.toLowerCase()));
    const unknown = rows.filter(({ name }) => !known.has(name.toLowerCase()));
    assert.deepEqual(unknown, [], 'decide what Kennel does about these');
  });

  it('has each setting once', () => {
    const all = allSettings().map((name) => name.toLowerCase());
    assert.equal(new Set(all).size, all.length);
  });

  it('calls those pinned that each session begins with', () => {
    const pinned = [...pinnedSettings(), 'application_name'];
    assert.deepEqual(settingsOf('pinned').sort(), pinned.sort());
  });
});
