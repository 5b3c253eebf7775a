import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type TenantId, tenantId } from '../../src/kernel/tenant.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { Envelopes, envelope } from '../../src/postgres/envelope.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { seal } from '../../src/postgres/seal.ts';
import { connectionLimits } from '../support/connection.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const acme = tenantId('01890000-0000-7000-8000-000000000001');

function placeWith(schema: string): Placement {
  const sealKey = Buffer.alloc(32, 1);
  const names = { database: 'kennel', login: 'serve', role: 'app' };
  return { context: 'statement', target: '', ...names, schema, sealKey };
}

function dedicated(target: string): Placement {
  return { ...placeWith('tenant'), context: 'session', tenant: acme, target };
}

describe('envelope()', () => {
  it('holds role, schema and sealed tenant as parameters, and is for statements of the schema', () => {
    const place = placeWith('shared');
    const { schema, context } = envelope(place, acme, 7);
    assert.equal(schema, 'shared');
    for (const part of ['app', '"shared"', `${acme}.${seal(place.sealKey, acme, 7)}`]) {
      assert.ok(context?.includes(part));
    }
  });
});

describe('Envelopes', () => {
  let database: TestDatabase;
  let one: Connection;
  let other: Connection;
  before(async () => {
    database = await testDatabase();
    one = await Connection.open(database.url, connectionLimits);
    other = await Connection.open(database.url, connectionLimits);
  });
  after(async () => {
    one.close();
    other.close();
    await database.drop();
  });

  it("says for each connection, place and tenant what envelope() says with the connection's pid", () => {
    const envelopes = new Envelopes(2);
    const tenants: TenantId[] = [acme, tenantId(randomUUID()), tenantId(randomUUID())];
    for (const tenant of [...tenants, ...tenants]) {
      for (const connection of [one, other]) {
        for (const place of [placeWith('shared'), placeWith('t_1')]) {
          assert.deepEqual(
            envelopes.of(connection, place, tenant),
            envelope(place, tenant, connection.pid),
          );
        }
      }
    }
  });

  it("has nothing to say on a connection that begins with the tenant's context", () => {
    const place = dedicated(one.target);
    const envelopes = new Envelopes(2);
    assert.deepEqual(envelopes.of(one, place, acme), { schema: 'tenant', context: null });
  });

  it("says what it has to for everybody else on it, which only the server's check can refuse", () => {
    const place = dedicated(one.target);
    const other = tenantId(randomUUID());
    const { context } = new Envelopes(2).of(one, place, other);
    assert.ok(context?.includes(other));
  });

  it('refuses a connection that begins with the context of whoever else', () => {
    const place = dedicated('postgres://elsewhere/');
    assert.throws(() => new Envelopes(2).of(one, place, acme), /^Error: Cannot use a connection: /);
  });

  it('gives nobody one that a request from before a rotation has made meanwhile', () => {
    const envelopes = new Envelopes(2);
    const now = { ...placeWith('shared'), sealKey: Buffer.alloc(32, 2) };
    envelopes.forgetAll();
    envelopes.of(one, placeWith('shared'), acme);
    assert.deepEqual(envelopes.of(one, now, acme), envelope(now, acme, one.pid));
  });
});
