/**
 * Defaults of the server, a database or a login change no answer: one script of calls runs in each
 * mode, with another value for every setting that Kennel pins or considers harmless.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { type Client, onboard } from '../support/client.ts';
import { startKennel } from '../support/kennel.ts';
import { settingsOf } from '../support/setting_classes.ts';
import { lookInto } from '../support/sql.ts';
import { startTestCluster } from '../support/test_cluster.ts';

/** For settings whose other values are not listed in `pg_settings`. */
const hostile: Readonly<Record<string, string>> = {
  DateStyle: 'German',
  TimeZone: 'Asia/Kathmandu',
  timezone_abbreviations: 'Australia',
  client_encoding: 'LATIN1',
  search_path: 'public',
  createrole_self_grant: 'set, inherit',
  extra_float_digits: '-3',
  gin_fuzzy_search_limit: '1',
  statement_timeout: '1h',
  lock_timeout: '1h',
  idle_in_transaction_session_timeout: '1h',
  idle_session_timeout: '1h',
  default_text_search_config: 'german',
};

/** Found by name if set for a login or a database, even though no session has them. */
const namedAnyway = ['search_path', 'row_security', 'ignore_system_indexes'];

/** At their minimum or maximum they block every statement of the server, or let none through. */
const unusable = [
  ...['post_auth_delay', 'debug_discard_caches', 'max_stack_depth'],
  // Left out beside the settings of its parts.
  'log_statement_stats',
  ...['client_min_messages', 'log_min_messages'],
];

const idsAndTimes =
  /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z|(?<="next_cursor":")[^"]+/g;

/** Every kind of value in an answer: written, read, changed, paged and refused. */
async function played(call: Client): Promise<string[]> {
  const lines: string[] = [];
  const say = async (line: string, body?: unknown) => {
    const { status, body: told } = await call(line, body);
    lines.push(`${line} ${status} ${JSON.stringify(told)}`);
    return told;
  };
  const pet = await say('POST /api/pets', {
    name: 'O\'Malley \\ 犬 ü "',
    species: 'cat',
    breed: null,
    birth_date: '2024-02-29',
    microchip_id: 'e\\x00',
  });
  for (const visited_on of ['2024-03-01', '2024-03-02', '2024-12-31']) {
    await say(`POST /api/pets/${pet.id}/visits`, { visited_on, reason: 'Fever' });
  }
  const { next_cursor: cursor } = await say(`GET /api/pets/${pet.id}/visits?limit=2`);
  assert.ok(cursor);
  lines.push(
    JSON.stringify((await call(`GET /api/pets/${pet.id}/visits?limit=2&cursor=${cursor}`)).body),
  );
  await say(`PATCH /api/pets/${pet.id}`, { birth_date: '1999-12-31', breed: 'NULL' });
  await say('GET /api/pets?species=cat');
  await say(`DELETE /api/pets/${pet.id}`);
  await say('PUT /api/config/include_deleted_pets', { value: true });
  await say('PUT /api/config/welcome_message', { value: "a\\nb 'c'" });
  await say(`GET /api/pets/${pet.id}`);
  await say('GET /api/config');
  await say('POST /api/users', { email: 'vet@zoo.example', role: 'member' });
  await say('GET /api/users');
  await say('GET /api/audit');
  await say('GET /api/me');
  await say('POST /api/pets', { name: '', species: 'cat', birth_date: '30.02.2024' });
  return lines;
}

type Setting = { name: string; value: string };

describe('the replies to tenants of all modes', { timeout: 300_000 }, () => {
  let cluster: Awaited<ReturnType<typeof startTestCluster>>;
  let usual: string;
  let settings: Setting[];
  before(async () => {
    cluster = await startTestCluster();
    usual = await recorded('usual');
    settings = await hostileSettings();
    assert.ok(settings.length > 100);
  });
  after(() => cluster.stop());

  const scopes = {
    'the database': async () => {
      const rows = await superuser<{ name: string }>(`
        select quote_ident(datname) as name from pg_database where starts_with(datname, 'kennel')`);
      return rows.map(({ name }) => `alter database ${name}`);
    },
    'the login': async () => {
      const rows = await superuser<{ name: string }>(`
        select quote_ident(rolname) as name from pg_roles
        where rolcanlogin and starts_with(rolname, 'kennel')`);
      return rows.map(({ name }) => `alter role ${name}`);
    },
    'the server': async () => ['alter system'],
  };

  for (const [scope, statements] of Object.entries(scopes)) {
    it(`are the same to the byte when ${scope} has other settings`, async () => {
      const changed = settings.filter(
        ({ name }) => scope === 'the server' || !namedAnyway.includes(name),
      );
      const alters = await statements();
      for (const alter of alters) {
        const quoted = (value: string) => `'${value.replaceAll("'", "''")}'`;
        await superuser(
          ...changed.map(({ name, value }) => `${alter} set ${name} = ${quoted(value)}`),
        );
      }
      await superuser('select pg_reload_conf()', 'select pg_sleep(0.3)');
      try {
        assert.equal(await recorded(scope.replace('the ', '')), usual);
      } finally {
        for (const alter of alters) await superuser(`${alter} reset all`);
        await superuser('select pg_reload_conf()', 'select pg_sleep(0.3)');
      }
    });
  }

  it('control: a session without pinned settings answers differently', async () => {
    await superuser("alter database kennel set datestyle = 'German'");
    const rows = await superuser<{ day: string }>("select date '2024-02-29'::text as day");
    await superuser('alter database kennel reset datestyle');
    assert.equal(rows[0]?.day, '29.02.2024');
  });

  /** In a session with the settings that it needs whatever the defaults are. */
  async function superuser<Row extends object>(...texts: string[]): Promise<Row[]> {
    const url = `${cluster.url}?default_transaction_read_only=off&exit_on_error=off`;
    return lookInto(url, async (sql) => {
      let rows: Row[] = [];
      for (const text of texts) rows = [...(await sql.unsafe<Row[]>(text))];
      return rows;
    });
  }

  async function hostileSettings(): Promise<Setting[]> {
    const names = [...settingsOf('pinned'), ...settingsOf('harmless')];
    const rows = await superuser<Setting & { other: string | null }>(`
      select name, case vartype
          when 'bool' then case boot_val when 'on' then 'off' else 'on' end
          when 'enum' then (select value from unnest(enumvals) as value where value <> boot_val limit 1)
          when 'string' then null
          else min_val
        end as other
      from pg_settings
      where context in ('user', 'superuser') and not name ~ '^transaction_'
      order by name`);
    return rows.flatMap(({ name, other }) => {
      const value = hostile[name] ?? other;
      const isOurs = names.includes(name) && !unusable.includes(name);
      return isOurs && value !== null ? [{ name, value }] : [];
    });
  }

  /** The answers to one script, by mode, without ids and times. */
  async function recorded(run: string): Promise<string> {
    const kennel = await startKennel(cluster.url);
    try {
      const lines: string[] = [];
      for (const mode of isolationModes) {
        const slug = `${run}-${mode}`;
        const { call } = await onboard(kennel, slug, { isolation: mode });
        for (const line of await played(call))
          lines.push(`${mode} ${line}`.replaceAll(slug, 'SLUG'));
      }
      assert.doesNotMatch(kennel.stdout(), /"check":"setting_/);
      return lines.join('\n').replaceAll(idsAndTimes, 'X');
    } finally {
      await kennel.stop();
    }
  }
});
