import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { postgresAccounts } from '../../../src/adapters/account/postgres_accounts.ts';
import { Refusal } from '../../../src/kernel/errors.ts';
import type { Account } from '../../../src/kernel/ports.ts';
import type { TenantId } from '../../../src/kernel/tenant.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { addAdmin, type Registered, register } from '../../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

/** Each is true when it read or changed a row of the victim. */
const probes: Readonly<Record<string, (account: Account, victim: Registered) => Promise<boolean>>> =
  {
    users: (account, { id }) => admitted(account`select id from users where tenant_id = ${id}`),
    keys: (account, { id }) => admitted(account`select id from api_keys where tenant_id = ${id}`),
    'keys (by revoking them)': (account, { id }) =>
      admitted(account`
        update api_keys set revoked_at = now() where tenant_id = ${id} returning id`),
    settings: (account, { id }) =>
      admitted(account`
        update settings set value = '"Hi"' where tenant_id = ${id} returning key`),
    'idempotency keys': (account, { id }) =>
      admitted(account`select made_id from idempotency_keys where tenant_id = ${id}`),
    usage: (account, { id }) =>
      admitted(account`select day from usage_days where tenant_id = ${id}`),
    'audit trail': (account, { id }) =>
      admitted(account`select id from audit_events where tenant_id = ${id}`),
  };

async function admitted(attempt: Promise<object[]>): Promise<boolean> {
  try {
    return (await attempt).length > 0;
  } catch (error) {
    assert.equal(codeOf(error), '42501', String(error));
    return false;
  }
}

const guarded = ['users', 'api_keys', 'settings', 'usage_days', 'audit_events', 'idempotency_keys'];

const rowSecurityOff = guarded
  .map((table) => `alter table ${table} disable row level security`)
  .join(';');

type AccountFixture = {
  fixture: TenantFixture;
  one: Registered;
  other: Registered;
  changed: TenantId[];
  work<Result>(tenant: Registered, steps: (account: Account) => Promise<Result>): Promise<Result>;
};

/** Two tenants; the second has a row in every table. */
function accountFixture(off = ''): () => AccountFixture {
  let current: AccountFixture;
  before(async () => {
    const fixture = await openTenantFixture(1);
    const { control, connections, fleet } = fixture.services;
    const [one, other] = [await register(control, 'one'), await register(control, 'the-other')];
    await addAdmin(control, other);
    await control`insert into control.usage_days values (${other.id}, '2024-01-01', 1, 0)`;
    const changed: TenantId[] = [];
    const accounts = postgresAccounts(connections, fleet.installation, {
      newId: randomUUID,
      onChange: (id) => changed.push(id),
    });
    const work: AccountFixture['work'] = (tenant, steps) =>
      accounts.run({ tenant, actor: 'operator', requestId: 'r-1' }, steps);
    current = { fixture, one, other, changed, work };
    await work(other, (account) => setWelcome(account, '"Hello"'));
    await work(other, claimKey);
    await fixture.asSuperuser(fleet.installation.account, off);
  });
  after(() => current.fixture.close());
  return () => current;
}

async function claimKey(account: Account): Promise<void> {
  const digest = Buffer.alloc(32);
  await account`
    insert into idempotency_keys (key_digest, fingerprint, made_id, claimed_until)
    values (${digest}, ${digest}, ${randomUUID()}, now())`;
}

function setWelcome(account: Account, json: string): Promise<string> {
  return account.change('config_changed', async (sql) => {
    await sql`
      insert into settings (key, value) values ('welcome_message', ${json}::text::jsonb)
      on conflict (tenant_id, key) do update set value = excluded.value`;
    return { result: json, details: { key: 'welcome_message' } };
  });
}

describe('postgresAccounts() with row security', () => {
  const current = accountFixture();
  for (const [what, probe] of Object.entries(probes)) {
    it(`gives a tenant no access to another's ${what}`, async () => {
      const { one, other, work } = current();
      assert.equal(await work(one, (account) => probe(account, other)), false);
    });
  }
});

describe('control: postgresAccounts() without row security', () => {
  const current = accountFixture(rowSecurityOff);
  for (const [what, probe] of Object.entries(probes)) {
    it(`gives a tenant access to another's ${what}`, async () => {
      const { one, other, work } = current();
      assert.equal(await work(one, (account) => probe(account, other)), true);
    });
  }
});

describe('Account', () => {
  const current = accountFixture();
  const countEvents = async (tenant: Registered) => {
    const { work } = current();
    return (await work(tenant, (account) => account`select id from audit_events`)).length;
  };

  it('records a change in its transaction, and announces it afterwards', async () => {
    const { one, work, changed } = current();
    assert.equal(await work(one, (account) => setWelcome(account, '"Hello"')), '"Hello"');
    const [event] = await work(
      one,
      (account) => account`select event, actor, tenant, request_id, details from audit_events`,
    );
    assert.deepEqual(
      { ...event },
      {
        event: 'config_changed',
        actor: 'operator',
        tenant: 'one',
        request_id: 'r-1',
        details: { key: 'welcome_message' },
      },
    );
    assert.equal(changed.at(-1), one.id);
  });

  it('neither records nor announces a change that failed', async () => {
    const { one, work, changed } = current();
    const before = [await countEvents(one), changed.length];
    const failing = work(one, (account) =>
      account.change('config_changed', async (sql) => {
        await sql`update settings set value = 'null'`;
        throw new Refusal('conflict');
      }),
    );
    await assert.rejects(failing, { code: 'conflict' });
    assert.deepEqual([await countEvents(one), changed.length], before);
    const [kept] = await work(
      one,
      (account) => account<{ value: string }>`select value from settings`,
    );
    assert.equal(kept?.value, 'Hello');
  });

  it('changes nothing when the event cannot be recorded', async () => {
    const { one, work } = current();
    const failing = work({ ...one, slug: JSON.parse('"\\u0000"') }, (account) =>
      setWelcome(account, '"Lost"'),
    );
    await assert.rejects(failing, { code: '22021' });
    const [row] = await work(
      one,
      (account) => account<{ value: string }>`select value from settings`,
    );
    assert.equal(row?.value, 'Hello');
  });

  it('hides events whose audience is the operator', async () => {
    const { one, fixture } = current();
    const before = await countEvents(one);
    await fixture.services.control`
      insert into control.audit_events (id, event, actor, tenant_id, audience, details)
      values (${randomUUID()}, 'cross_tenant_access_attempt', 'anonymous', ${one.id}, 'operator', '{}')`;
    assert.equal(await countEvents(one), before);
  });

  for (const [what, attempt] of Object.entries({
    'change the audit trail': (account: Account) =>
      account`update audit_events set actor = 'nobody'`,
    'delete its settings': (account: Account) => account`delete from settings`,
    "write another tenant's settings": (account: Account) => account`
      insert into settings (tenant_id, key, value) values (${randomUUID()}, 'any', '1')`,
    'delete from the audit trail': (account: Account) => account`delete from audit_events`,
    'read the digests of secrets': (account: Account) =>
      account`select secret_sha256 from api_keys`,
    'read the table of tenants': (account: Account) => account`select id from tenants`,
    'delete idempotency keys': (account: Account) => account`delete from idempotency_keys`,
    'write its usage': (account: Account) => account`update usage_days set billed = 0`,
    'record an event that only the operator sees': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details)
      values (${randomUUID()}, 'config_changed', 'anonymous', 'operator', '{}')`,
    'choose the time of an event': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details, time)
      values (${randomUUID()}, 'config_changed', 'operator', 'tenant', '{}', '2024-01-01')`,
    'choose the position of an event': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details, position)
      values (${randomUUID()}, 'config_changed', 'operator', 'tenant', '{}', 1)`,
    'choose the hash of an event': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details, hash)
      values (${randomUUID()}, 'config_changed', 'operator', 'tenant', '{}', sha256(''))`,
    'choose the number of an event': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details, seq)
      values (${randomUUID()}, 'config_changed', 'operator', 'tenant', '{}', 1)`,
    'record an event for another tenant': (account: Account) => account`
      insert into audit_events (id, event, actor, audience, details, tenant_id)
      values (${randomUUID()}, 'config_changed', 'operator', 'tenant', '{}', ${randomUUID()})`,
    'read positions, which would count hidden events': (account: Account) =>
      account`select position from audit_events`,
    'read the heads of the chains': (account: Account) => account`select hash from audit_chains`,
    'reset the head of its chain': (account: Account) =>
      account`update audit_chains set position = 0`,
    'call the function of the trigger': (account: Account) => account`select chain_event()`,
  })) {
    it(`cannot ${what}`, async () => {
      const { one, work } = current();
      await assert.rejects(work(one, attempt), (error) => codeOf(error) === '42501');
    });
  }
});
