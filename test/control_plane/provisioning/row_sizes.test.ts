/**
 * How large a row an injected statement of one tenant may write, and what such a row does to
 * everybody's reads.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { postgresAccounts } from '../../../src/adapters/account/postgres_accounts.ts';
import { postgresDirectory } from '../../../src/adapters/directory/postgres_directory.ts';
import { queryAudit } from '../../../src/control_plane/audit/query.ts';
import type { Account, Db, SqlValue } from '../../../src/kernel/ports.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { type AuditTrail, eventsEach, openAuditTrail } from '../../support/audit_trail.ts';
import type { Registered } from '../../support/registered.ts';

let trail: AuditTrail;
let attacker: Registered;
let neighbour: Registered;

before(async () => {
  trail = await openAuditTrail();
  attacker = await trail.tenant();
  neighbour = await trail.tenant();
});

after(() => trail.close());

function inject<Result>(steps: (account: Account) => Promise<Result>): Promise<Result> {
  const { connections, fleet } = trail.services;
  const options = { newId: randomUUID, onChange: () => {} };
  const accounts = postgresAccounts(connections, fleet.installation, options);
  return accounts.run({ tenant: attacker, actor: 'operator', requestId: 'r-1' }, steps);
}

/**
 * An event of the attacker with details of this many bytes, as the superuser, who has no time
 * limit.
 */
const addEvent = (bytes: number) =>
  trail.falsify(`
    insert into audit_events (id, event, actor, tenant_id, audience, details)
    values (gen_random_uuid(), 'config_changed', 'kennel', '${attacker.id}', 'tenant',
      jsonb_build_object('a', repeat('x', ${bytes})))`);

describe('the tables of an account', () => {
  const large = 'x'.repeat(10_000);
  const event = (column: 'event' | 'actor' | 'request_id', account: Account) => {
    const [name, actor, id] = [
      column === 'event' ? large : 'config_changed',
      column === 'actor' ? large : 'kennel',
      column === 'request_id' ? large : 'r-1',
    ];
    return account`
      insert into audit_events (id, event, actor, tenant, request_id, audience, details)
      values (gen_random_uuid(), ${name}, ${actor}, '', ${id}, 'tenant', '{}')`;
  };
  const details = (text: string, account: Account) => account`
    insert into audit_events (id, event, actor, tenant, audience, details)
    values (gen_random_uuid(), 'config_changed', 'kennel', '', 'tenant', ${text}::text::jsonb)`;

  const writes: Record<string, (account: Account) => Promise<object[]>> = {
    'an event name that is too long': (account) => event('event', account),
    'an actor that is too long': (account) => event('actor', account),
    'a request id that is too long': (account) => event('request_id', account),
    'details that are too large': (account) => details(JSON.stringify({ large }), account),
    'details that are small as numbers and too large as text': (account) =>
      details('{"a": 1e131071}', account),
    'details that are not an object': (account) => details('"text"', account),
    'a setting value that is too large': (account) => account`
      insert into settings (key, value) values ('welcome_message', to_jsonb(${large}::text))
      on conflict (tenant_id, key) do update set value = excluded.value`,
    'a setting value that is small as a number and too large as text': (account) => account`
      insert into settings (key, value) values ('default_page_size', '1e131071')
      on conflict (tenant_id, key) do update set value = excluded.value`,
    'a setting key that is too long': (account) => account`
      insert into settings (key, value) values (substr(${large}, 1, 1000), '1')`,
    'an email that is too long': (account) => account`
      insert into users (id, email, role) values (gen_random_uuid(), ${large}, 'member')`,
  };
  for (const [what, write] of Object.entries(writes)) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(inject(write), (error: unknown) => codeOf(error) === '23514');
    });
  }

  it('accept the largest values that the API accepts', async () => {
    const value = JSON.stringify('"'.repeat(500));
    await inject((account) =>
      account.change('config_changed', async (sql) => {
        await sql`
          insert into settings (key, value) values ('welcome_message', ${value}::text::jsonb)
          on conflict on constraint settings_pkey do update set value = excluded.value`;
        return { result: null, details: { key: 'welcome_message', value } };
      }),
    );
    await inject((account) => {
      const email = `${'😀'.repeat(240)}@example.org`;
      return account`
        insert into users (id, email, role) values (gen_random_uuid(), ${email}, 'member')`;
    });
  });
});

describe('20 000 unknown settings', () => {
  it('do not break the lookup of their tenant', async () => {
    await trail.falsify(`
      set session_replication_role = replica;
      insert into settings (tenant_id, key, value)
      select '${attacker.id}', 'k' || n, to_jsonb(repeat('x', 4000))
      from generate_series(1, 20000) as n`);
    const { control } = trail.services;
    const tenant = await postgresDirectory(control).tenant(attacker.id);
    assert.equal(tenant?.settings.default_page_size, 20);
    const all = control`
      select jsonb_object_agg(key, value) from control.settings where tenant_id = ${attacker.id}`;
    await assert.rejects(all, { code: 'unavailable' });
    await trail.falsify("delete from settings where key like 'k%'");
  });
});

describe('events of 9 MB, after their size check was dropped', () => {
  const bytes = 9_000_000;
  const many = 8;
  before(async () => {
    await trail.falsify('alter table audit_events drop constraint audit_events_details_size');
    for (let count = 0; count < many; count += 1) await addEvent(bytes);
  });
  after(async () => {
    await trail.falsify(`
      delete from audit_events where octet_length(details::text) > 8192;
      alter table audit_events add constraint audit_events_details_size
        check (octet_length(details::text) <= 8192) not valid`);
    await trail.falsify(`
      delete from users where tenant_id = '${attacker.id}';
      delete from settings where tenant_id = '${attacker.id}'`);
    await trail.forget(attacker);
  });

  it('are listed for the operator without their details, beside other events', async () => {
    const page = { tenant: null, event: null, before: null, limit: 100 };
    const rows = await queryAudit(trail.services.control, page);
    assert.equal(rows.filter(({ details }) => details.too_large === true).length, many);
    assert.equal(rows.filter(({ tenant }) => tenant === neighbour.slug).length, eventsEach);
  });

  it('are findings of the verification, which checks the rest of the trail', async () => {
    const { faults: findings, events } = await trail.verify(null);
    assert.deepEqual(
      findings.map(({ kind, tenant }) => [kind, tenant]),
      findings.map(() => ['too large', attacker.slug]),
    );
    assert.ok(findings.length > 0 && events >= many + 2 * eventsEach);
  });

  it('control: a read without a bound fails', async () => {
    const { control } = trail.services;
    await assert.rejects(control`select details from control.audit_events`, {
      code: 'unavailable',
    });
  });

  it('are refused once the check is back', async () => {
    await trail.falsify(`alter table audit_events add constraint audit_events_details_size
      check (octet_length(details::text) <= 8192) not valid`);
    await assert.rejects(addEvent(bytes), { code: '23514' });
    await trail.falsify('alter table audit_events drop constraint audit_events_details_size');
  });
});

describe('an unreadable audit chain', () => {
  /** Reads as the control role does; some of these reads fail as if the disk had lost a page. */
  const damaged = (fails: (values: SqlValue[]) => boolean): Db => {
    const { control } = trail.services;
    const read = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
      fails(values) ? Promise.reject(new Error('invalid page')) : control<Row>(text, ...values);
    return Object.assign(read, { transaction: control.transaction });
  };

  it('is a finding when it fails in the middle, and other chains are verified', async () => {
    const [broken, other] = [await trail.tenant(), await trail.tenant()];
    const isRead = (values: SqlValue[]) => values.includes(broken.id) && values.includes('4');
    const { faults: findings, events } = await trail.verifyOn(damaged(isRead));
    assert.deepEqual(
      findings.map(({ kind, tenant, position }) => [kind, tenant, position]),
      [['unreadable', broken.slug, 3]],
    );
    assert.ok(events >= 3 + (await trail.verify(other.slug)).events);
    await trail.forget(broken);
  });

  it('is a finding when its end fails, and the other chains of its page are verified', async () => {
    const [broken, other] = [await trail.tenant(), await trail.tenant()];
    const isRead = (values: SqlValue[]) =>
      Array.isArray(values[0]) && values[0].includes(broken.id);
    const { faults: findings, events } = await trail.verifyOn(damaged(isRead));
    assert.deepEqual(
      findings.map(({ kind, chain }) => [kind, chain]),
      [['unreadable', broken.id]],
    );
    assert.ok(events >= (await trail.verify(other.slug)).events);
    await trail.forget(broken);
  });

  it('is an error instead of a finding while the database is away', async () => {
    await assert.rejects(trail.verifyOn(damaged(() => true)), /invalid page/);
  });
});
