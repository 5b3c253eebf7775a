import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { countEmails } from '../../src/control_plane/migrations/status.ts';
import type { Db } from '../../src/kernel/ports.ts';
import type { OutboxStore } from '../../src/mail/outbox.ts';
import { postgresOutbox } from '../../src/mail/postgres_outbox.ts';
import { type Registered, register } from '../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';

const fiveDays = 5 * 24 * 3_600_000;
const limits = { giveUpAfterMs: fiveDays, errorChars: 20 };

describe('postgresOutbox()', () => {
  let fixture: TenantFixture;
  let control: Db;
  let acme: Registered;
  let store: OutboxStore;
  before(async () => {
    fixture = await openTenantFixture(1);
    control = fixture.services.control;
    acme = await register(control, 'acme');
    store = postgresOutbox(control, limits);
  });
  after(() => fixture.close());
  beforeEach(() => control`delete from control.outbox`);

  async function post(): Promise<string> {
    const id = randomUUID();
    await control`
      insert into control.outbox (id, tenant_id, recipient, subject, body)
      values (${id}, ${acme.id}, 'ada@example.org', 'Welcome', 'Hello')`;
    return id;
  }

  const claimed = async (limit: number) => (await store.claim(limit)).map(({ id }) => id);

  const makeDue = () => control`update control.outbox set next_attempt_at = now()`;

  it('returns an email as it was written', async () => {
    const id = await post();
    const [email] = await store.claim(1);
    const { ...fields } = email;
    assert.deepEqual(fields, { id, to: 'ada@example.org', subject: 'Welcome', text: 'Hello' });
  });

  it('gives two concurrent claims different emails without a wait', async () => {
    const ids = [await post(), await post(), await post()];
    await control.transaction(async (sql) => {
      const underWay = postgresOutbox(
        Object.assign(sql, { transaction: control.transaction }),
        limits,
      );
      const first = await underWay.claim(2);
      const second = await store.claim(2);
      assert.deepEqual([first.length, second.length], [2, 1]);
      const all = [...first, ...second].map(({ id }) => id);
      assert.deepEqual(all.sort(), ids.sort());
    });
  });

  it('does not return an email that was just claimed', async () => {
    const id = await post();
    assert.deepEqual(await claimed(10), [id]);
    assert.deepEqual(await claimed(10), []);
  });

  it('never returns a sent email', async () => {
    const [id = ''] = [await post()];
    await store.claim(10);
    await store.sent(id);
    await makeDue();
    assert.deepEqual(await claimed(10), []);
  });

  it('returns a failed email once it is due again, and stores the error', async () => {
    const id = await post();
    await store.claim(10);
    const failure = { message: '450 try again later', permanent: false };
    assert.equal(await store.failed(id, failure), null);
    assert.deepEqual(await claimed(10), []);
    await makeDue();
    assert.deepEqual(await claimed(10), [id]);
    const rows = await control`select attempts, last_error from control.outbox`;
    assert.deepEqual({ ...rows[0] }, { attempts: 2, last_error: '450 try again later' });
  });

  it('gives up a permanently refused email, and names its tenant', async () => {
    const id = await post();
    await store.claim(10);
    const givenUp = await store.failed(id, { message: '550 no such user', permanent: true });
    assert.deepEqual(givenUp, { id, tenant: acme.slug, attempts: 1, error: '550 no such user' });
    assert.deepEqual(await countEmails(control), { waiting: 0, givenUp: 1 });
  });

  it('never returns an email that was given up', async () => {
    const id = await post();
    await store.failed(id, { message: '550 no such user', permanent: true });
    await control`update control.outbox set next_attempt_at = next_attempt_at - interval '99 years'`;
    assert.deepEqual(await claimed(10), []);
  });

  it('gives up after five days, and not before', async () => {
    const failure = { message: '450 try again later', permanent: false };
    const [young, old] = [await post(), await post()];
    const hours = (id: string, count: number) => control`
      update control.outbox set created_at = now() - ${count}::int * interval '1 hour'
      where id = ${id}`;
    await hours(young, 119);
    await hours(old, 121);
    assert.equal(await store.failed(young, failure), null);
    assert.equal((await store.failed(old, failure))?.id, old);
    assert.deepEqual(await countEmails(control), { waiting: 1, givenUp: 1 });
  });

  it('truncates the error', async () => {
    const id = await post();
    await store.failed(id, { message: 'x'.repeat(1_000), permanent: false });
    const [row] = await control<{ last_error: string }>`select last_error from control.outbox`;
    assert.equal(row?.last_error, 'x'.repeat(20));
  });

  it('doubles the delay after each attempt, up to an hour', async () => {
    await post();
    for (const [attempts, seconds] of [
      [0, 10],
      [1, 20],
      [8, 2_560],
      [9, 3_600],
      [1_000, 3_600],
    ] as const) {
      await control`update control.outbox set attempts = ${attempts}, next_attempt_at = now()`;
      // In one transaction, because now() stands still in it.
      const [row] = await control.transaction(async (sql) => {
        await postgresOutbox(
          Object.assign(sql, { transaction: control.transaction }),
          limits,
        ).claim(1);
        return sql<{ seconds: number }>`
          select extract(epoch from next_attempt_at - now())::int as seconds from control.outbox`;
      });
      assert.equal(row?.seconds, seconds);
    }
  });
});
