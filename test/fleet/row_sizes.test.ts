/** What an injected statement may write as one tenant, and what then becomes of everybody's reads. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { postgresAccounts } from '../../src/adapters/account/postgres_accounts.ts';
import { postgresRegistry } from '../../src/adapters/directory/postgres_registry.ts';
import { readTrail } from '../../src/fleet/operator_trail.ts';
import type { Account } from '../../src/kernel/ports.ts';
import { codeOf } from '../../src/postgres/faults.ts';
import { type AuditTrail, eventsEach, named, openAuditTrail } from '../support/audit_trail.ts';
import type { Registered } from '../support/registered.ts';

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
  const { lanes, fleet } = trail.backstage;
  const options = { newId: randomUUID, onChange: () => {} };
  const accounts = postgresAccounts(lanes, fleet.installation, options);
  return accounts.run({ tenant: attacker, actor: 'operator', requestId: 'r-1' }, steps);
}

/** The attacker's event with details of so many bytes, past all checks of what the API takes. */
const addEvent = (bytes: number) =>
  inject(
    (account) => account`
      insert into audit_events (id, event, actor, tenant, audience, details)
      values (gen_random_uuid(), 'config_changed', 'kennel', '', 'tenant',
        jsonb_build_object('a', repeat('x', ${bytes})))`,
  );

describe('the table refuses', () => {
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
    'a name of an event': (account) => event('event', account),
    'an actor': (account) => event('actor', account),
    'a request id': (account) => event('request_id', account),
    details: (account) => details(JSON.stringify({ large }), account),
    'details that are small as numbers and large as text': (account) =>
      details('{"a": 1e131071}', account),
    'details that are no object': (account) => details('"text"', account),
    'the value of a setting': (account) => account`
      insert into settings (key, value) values ('welcome_message', to_jsonb(${large}::text))
      on conflict (tenant_id, key) do update set value = excluded.value`,
    'the value of a setting that is small as a number': (account) => account`
      insert into settings (key, value) values ('default_page_size', '1e131071')
      on conflict (tenant_id, key) do update set value = excluded.value`,
    'the key of a setting': (account) => account`
      insert into settings (key, value) values (substr(${large}, 1, 1000), '1')`,
    "a user's email": (account) => account`
      insert into users (id, email, role) values (gen_random_uuid(), ${large}, 'member')`,
  };
  for (const [what, write] of Object.entries(writes)) {
    it(`${what} past its size`, async () => {
      await assert.rejects(inject(write), (error: unknown) => codeOf(error) === '23514');
    });
  }

  it('nothing that the API takes', async () => {
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

describe('any number of settings', () => {
  it('that no code knows makes the lookup of a tenant no larger', async () => {
    await inject(
      (account) => account`
        insert into settings (key, value)
        select 'k' || n, to_jsonb(repeat('x', 4000)) from generate_series(1, 20000) as n`,
    );
    const tenant = await postgresRegistry(trail.backstage.control).tenant(attacker.id);
    assert.equal(tenant?.settings.default_page_size, 20);
    await inject((account) => account`delete from settings where key like 'k%'`);
  });
});

describe('events of megabytes, where the check of their size is gone', () => {
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
    await trail.forget(attacker);
  });

  it("are shown to the operator without their details, beside the others'", async () => {
    const page = { tenant: null, event: null, before: null, limit: 100 };
    const rows = await readTrail(trail.backstage.control, page);
    assert.equal(rows.filter(({ details }) => details.too_large === true).length, many);
    assert.equal(rows.filter(({ tenant }) => tenant === neighbour.slug).length, eventsEach);
  });

  it('are findings, and the rest of the trail is verified', async () => {
    const { findings, events } = await trail.verify(null);
    assert.deepEqual(
      findings.map(({ kind, tenant }) => [kind, tenant]),
      findings.map(() => ['too large', attacker.slug]),
    );
    assert.ok(findings.length > 0 && events >= many + 2 * eventsEach);
  });

  it('control: a read that is not bounded fails', async () => {
    const { control } = trail.backstage;
    await assert.rejects(control`select details from control.audit_events`);
  });

  it('control: with its check the table takes none of them', async () => {
    await trail.falsify(`alter table audit_events add constraint audit_events_details_size
      check (octet_length(details::text) <= 8192) not valid`);
    await assert.rejects(addEvent(bytes), (error: unknown) => codeOf(error) === '23514');
    await trail.falsify('alter table audit_events drop constraint audit_events_details_size');
  });
});

describe('a chain that cannot be read', () => {
  /** Reading such an event fails, as with a page that the disk has lost. */
  const spoil = (tenant: Registered, condition: string) =>
    trail.falsify(`
      create policy spoilt on audit_events as restrictive for select
      using (case when tenant_id = '${tenant.id}' and ${condition} then 1 / 0 = 1 else true end)`);
  const restore = () => trail.falsify('drop policy spoilt on audit_events');

  for (const [where, condition, position] of [
    ['in its middle', 'position = 5', 3],
    ['at its end', `position = ${eventsEach}`, 0],
  ] as const) {
    it(`${where} is a finding, and the others are verified`, async () => {
      const [spoilt, other] = [await trail.tenant(), await trail.tenant()];
      await spoil(spoilt, condition);
      const { findings, chains } = await trail.verify(null).finally(restore);
      assert.deepEqual(
        findings.map((finding) => [finding.kind, finding.chain, finding.position]),
        [['unreadable', spoilt.id, position]],
      );
      assert.ok(chains >= 3);
      assert.deepEqual(named(await trail.verify(other.slug)), []);
      assert.deepEqual(named(await trail.verify(spoilt.slug)), []);
    });
  }

  it('is no finding while the database is away', async () => {
    const away = Object.assign(() => Promise.reject(new Error('The database is away')), {
      transaction: () => Promise.reject(new Error('The database is away')),
    });
    await assert.rejects(trail.verifyOn(away), /The database is away/);
  });
});
