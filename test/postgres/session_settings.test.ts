/** The defaults of the database, the login and the server change no answer of any session. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { limits } from '../../src/limits.ts';
import { Connection, type ConnectionLimits } from '../../src/postgres/connection.ts';
import { lookInto } from '../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';

/**
 * Defaults that would each change how a value is read or written, or how long a statement may take.
 */
const defaults = {
  datestyle: 'German',
  intervalstyle: 'iso_8601',
  timezone: 'Asia/Kathmandu',
  timezone_abbreviations: 'Australia',
  extra_float_digits: '-3',
  bytea_output: 'escape',
  xmlbinary: 'hex',
  array_nulls: 'off',
  standard_conforming_strings: 'off',
  backslash_quote: 'on',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  client_encoding: 'LATIN1',
  gin_fuzzy_search_limit: '1',
  row_security: 'off',
  client_min_messages: 'debug1',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '1h',
} as const;

describe('the settings of a session', { timeout: 120_000 }, () => {
  let fixture: TenantFixture;
  before(async () => {
    fixture = await openTenantFixture(1);
  });
  after(() => fixture.close());

  const sessions = async () => {
    const { installation } = fixture.services.fleet;
    const own = fixture.placementOf(await fixture.tenant('database'));
    const { adminUrl, controlUrl, servingUrl } = installation;
    return [
      ['the administrator', adminUrl, limits.adminConnection],
      ['the control plane', controlUrl, limits.controlConnection],
      ['tenants', servingUrl, limits.connection],
      ['a tenant of its own database', own.url, limits.connection],
    ] as const;
  };

  async function answers(url: string, connection: ConnectionLimits) {
    const session = await Connection.open(url, connection);
    try {
      const [row] = await session.plain`
        select date '2024-02-29' as day, timestamptz '2024-02-29 12:00:00.5+00' as moment,
          interval '1 day 2 hours' as span, 1 / 3.0::float8 as third, 'a\\nb' as text,
          '\\x00ff'::bytea as bytes, '{null}'::text[] as list, (null = null) is null as unknown,
          '2024-02-29 12:00 EST'::timestamptz as abbreviated, quote_ident('a') as name,
          current_setting('default_transaction_read_only') as read_only,
          current_setting('default_transaction_isolation') as isolation,
          current_setting('row_security') as row_security,
          current_setting('statement_timeout') as statement_timeout,
          current_setting('lock_timeout') as lock_timeout,
          current_setting('idle_in_transaction_session_timeout') as idle_timeout,
          'ü' as umlaut, to_char(date '2024-02-29', 'DD.MM') as said`;
      return JSON.stringify(row);
    } finally {
      session.close();
    }
  }

  it('do not depend on defaults of the database and the login', async () => {
    const before = new Map<string, string>();
    for (const [who, url, connection] of await sessions())
      before.set(who, await answers(url, connection));
    await setDefaults((name, value) => `set ${name} = '${value}'`);
    try {
      for (const [who, url, connection] of await sessions()) {
        assert.equal(await answers(url, connection), before.get(who), who);
      }
    } finally {
      await setDefaults((name) => `reset ${name}`);
    }
  });

  it('control: depend on them in a session without pinned settings', async () => {
    await setDefaults((name, value) => `set ${name} = '${value}'`);
    try {
      const rows = await lookInto(
        fixture.url,
        (sql) => sql`select '2024-02-29'::date::text as day`,
      );
      assert.equal(rows[0]?.day, '29.02.2024');
    } finally {
      await setDefaults((name) => `reset ${name}`);
    }
  });

  /** For each database and each login of Kennel. */
  async function setDefaults(change: (name: string, value: string) => string): Promise<void> {
    const { database } = fixture.services.fleet.installation;
    await lookInto(`${fixture.url}?default_transaction_read_only=off`, async (sql) => {
      const all = await sql<{ what: string }[]>`
        select 'database ' || quote_ident(datname) as what from pg_database
        where starts_with(datname, ${database})
        union all
        select 'role ' || quote_ident(rolname) from pg_roles
        where rolcanlogin and starts_with(rolname, ${database})`;
      for (const { what } of all) {
        for (const [name, value] of Object.entries(defaults)) {
          await sql.unsafe(`alter ${what} ${change(name, value)}`);
        }
      }
    });
  }
});
