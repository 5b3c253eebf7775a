/** A tenant that reads its trail writes none of the attempts of others: neither rows nor words. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { limits } from '../../src/limits.ts';
import { clientOf, type Onboarded, onboard, operatorOf, send } from '../support/client.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';

let database: TestDatabase;
let lab: Lab;
let reader: Onboarded;
let victim: Onboarded;

before(async () => {
  database = await testDatabase();
  lab = await openLab(database.url);
  reader = await onboard(lab, 'reader');
  victim = await onboard(lab, 'victim');
});

after(async () => {
  await lab.close();
  await database.drop();
});

const routes = ['me', 'pets', 'config', 'users', 'audit', 'usage'];

async function rowsOf(event: string): Promise<{ tenant: string; tenant_id: string | null }[]> {
  return lookInto(
    database.url,
    (sql) => sql`select tenant, tenant_id from control.audit_events where event = ${event}`,
  );
}

describe('requests without a key', () => {
  it("add a row per slug for any number of routes, outside of every tenant's chain", async () => {
    for (let minute = 0; minute < 3; minute += 1) {
      for (const route of routes) {
        const path = `GET /api/${route}`;
        await send(lab.url, path, undefined, { 'x-tenant-id': victim.slug });
      }
      assert.equal((await reader.call('GET /api/audit')).status, 200);
    }
    await lab.app.denials.flush();
    const rows = await rowsOf('authentication_failed');
    // One at once, and one by the flush.
    assert.ok(rows.length <= 2, `${rows.length} rows`);
    for (const row of rows) assert.deepEqual({ ...row }, { tenant: victim.slug, tenant_id: null });
  });
});

describe("a tenant's read of its audit trail", () => {
  it('does not show how many events all tenants have: denials count if the slug exists', async () => {
    await reader.call('PUT /api/config/welcome_message', { value: 'Hello' });
    const { items, next_cursor } = (await reader.call('GET /api/audit?limit=1')).body;
    const [event] = await lookInto(
      database.url,
      (sql) => sql<{ seq: string }[]>`
        select seq::text from control.audit_events where id = ${items[0].id}`,
    );
    const [position] = JSON.parse(Buffer.from(next_cursor, 'base64url').toString());
    assert.equal(Buffer.from(position, 'base64url').length, 16);
    assert.notEqual(position, event?.seq);
    assert.equal((await reader.call(`GET /api/audit?cursor=${forged('1')}`)).status, 422);
  });

  it('writes neither its own cross-tenant attempts nor those of another tenant', async () => {
    const others = clientOf(lab, { slug: victim.slug, apiKey: reader.apiKey });
    const back = clientOf(lab, { slug: reader.slug, apiKey: victim.apiKey });
    // The first ones are written within a second; later ones are collected for a minute.
    for (let first = 0; first <= limits.denials.singleRows; first += 1) {
      for (const call of [others, back]) await call('GET /api/pets');
    }
    await lab.app.denials.flush();
    const before = (await rowsOf('cross_tenant_access_attempt')).length;
    for (const call of [others, back]) await call('GET /api/pets');
    for (let read = 0; read < 10; read += 1) await reader.call('GET /api/audit');
    assert.equal((await rowsOf('cross_tenant_access_attempt')).length, before);
    await operatorOf(lab)('GET /api/admin/audit?event=cross_tenant_access_attempt');
    assert.equal((await rowsOf('cross_tenant_access_attempt')).length, before + 2);
  });
});

function forged(position: string): string {
  return Buffer.from(JSON.stringify([position])).toString('base64url');
}
