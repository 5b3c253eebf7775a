import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type TenantId, tenantId } from '../../src/kernel/tenant.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { Envelopes, envelope } from '../../src/postgres/envelope.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { sealedContext } from '../../src/postgres/seal.ts';
import { connectionLimits } from '../support/connection.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const acme = tenantId('01890000-0000-7000-8000-000000000001');

function placementWith(schema: string): Placement {
  const sealKey = Buffer.alloc(32, 1);
  const names = { database: 'kennel', login: 'serve', role: 'app' };
  return {
    context: 'statement',
    server: 'main',
    url: '',
    ...names,
    schema,
    sealKey,
    generation: 3,
  };
}

function dedicated(url: string): Placement {
  return { ...placementWith('tenant'), context: 'session', tenant: acme, url };
}

describe('envelope()', () => {
  it('has the role, the schema and the sealed tenant as parameters', () => {
    const placement = placementWith('shared');
    const { schema, context } = envelope(placement, acme, 7);
    assert.equal(schema, 'shared');
    const sealed = sealedContext(placement.sealKey, { tenant: acme, generation: 3 }, 7);
    for (const part of ['app', '"shared"', sealed]) {
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

  it("returns envelope() of the connection's pid for each connection, placement and tenant", () => {
    const envelopes = new Envelopes(2);
    const tenants: TenantId[] = [acme, tenantId(randomUUID()), tenantId(randomUUID())];
    for (const tenant of [...tenants, ...tenants]) {
      for (const connection of [one, other]) {
        for (const placement of [placementWith('shared'), placementWith('t_1')]) {
          assert.deepEqual(
            envelopes.of(connection, placement, tenant),
            envelope(placement, tenant, connection.pid),
          );
        }
      }
    }
  });

  it("has no context for a connection that started with the tenant's own", () => {
    const placement = dedicated(one.url);
    const envelopes = new Envelopes(2);
    assert.deepEqual(envelopes.of(one, placement, acme), { schema: 'tenant', context: null });
  });

  it('has a context for another tenant on such a connection, which Postgres then refuses', () => {
    const placement = dedicated(one.url);
    const other = tenantId(randomUUID());
    const { context } = new Envelopes(2).of(one, placement, other);
    assert.ok(context?.includes(other));
  });

  it('refuses a connection that started with the context of another placement', () => {
    const placement = dedicated('postgres://elsewhere/');
    assert.throws(
      () => new Envelopes(2).of(one, placement, acme),
      /^Error: Cannot use a connection: /,
    );
  });

  it('returns no cached envelope with a key from before a rotation', () => {
    const envelopes = new Envelopes(2);
    const now = { ...placementWith('shared'), sealKey: Buffer.alloc(32, 2) };
    envelopes.forgetAll();
    envelopes.of(one, placementWith('shared'), acme);
    assert.deepEqual(envelopes.of(one, now, acme), envelope(now, acme, one.pid));
  });
});
