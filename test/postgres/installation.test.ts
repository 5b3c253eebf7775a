import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tenantId } from '../../src/kernel/tenant.ts';
import { Installation, rolesOf } from '../../src/postgres/installation.ts';
import { residentContext } from '../../src/postgres/seal.ts';
import { transportOf } from '../../src/postgres/unix_socket.ts';

describe('rolesOf()', () => {
  it('names roles after the database', () => {
    assert.equal(rolesOf('kennel').app, 'kennel_app');
    assert.equal(rolesOf('kennel_shop').app, 'kennel_shop_app');
  });

  it('gives two databases of one server no role in common', () => {
    const names = ['kennel', 'shop', 'kennel_shop', 'a'.repeat(63), `${'a'.repeat(62)}b`];
    const roles = names.flatMap((name) => Object.values(rolesOf(name)));
    assert.equal(new Set(roles).size, roles.length);
  });

  it('stays below the 63 bytes at which Postgres cuts a name', () => {
    for (const name of ['a'.repeat(63), `kennel${'a'.repeat(57)}`]) {
      for (const role of Object.values(rolesOf(name))) assert.ok(role.length <= 63, role);
    }
  });
});

describe('Installation', () => {
  const id = tenantId('01890000-0000-7000-8000-000000000001');
  const installed = (database: string, secret = 1, host = 'host:5433') =>
    new Installation(
      `postgres://a:b@${host}/${database}?sslmode=require`,
      {
        installation: Buffer.alloc(32, secret),
        seals: { current: Buffer.alloc(32, secret), other: null },
      },
      10,
    );

  it("leads to a tenant's database with its own login, and with what else the URL says", () => {
    const { target, database, role } = installed('kennel').databaseOf(id);
    const url = new URL(target);
    assert.deepEqual(
      [url.username, url.pathname, url.host, url.searchParams.get('sslmode')],
      [role, `/${database}`, 'host:5433', 'require'],
    );
    assert.ok(database.length <= 63);
  });

  it('begins the sessions of a database of its own with the context of its tenant', () => {
    const { target, sealKey } = installed('kennel').databaseOf(id);
    const { searchParams } = new URL(target);
    assert.equal(searchParams.get('kennel.tenant'), residentContext(sealKey, id));
    assert.equal(searchParams.get('search_path'), '"tenant"');
    assert.equal(new URL(installed('kennel').schemaOf(id).target).search, '?sslmode=require');
  });

  it('begins them so whatever the URL says of these settings', () => {
    const url = 'postgres://a:b@host/kennel?Search_Path=public&KENNEL.TENANT=x&kennel.tenant=y';
    const seals = { current: Buffer.alloc(32), other: null };
    const installation = new Installation(url, { installation: Buffer.alloc(32), seals }, 10);
    const names = [...new URL(installation.databaseOf(id).target).searchParams.keys()];
    assert.deepEqual(names, ['search_path', 'kennel.tenant']);
  });

  it('leads by the same Unix socket as the URL', () => {
    const { target } = installed('kennel', 1, '%2Frun%2FA%20b:5433').databaseOf(id);
    assert.equal(transportOf(target).path, '/run/A b/.s.PGSQL.5433');
  });

  it('derives a password for each role and a seal key for each database, from its secret alone', () => {
    const one = installed('kennel');
    assert.equal(one.password('x'), installed('kennel').password('x'));
    assert.notEqual(one.password('x'), one.password('y'));
    assert.notEqual(one.password('x'), installed('kennel', 2).password('x'));
    assert.notDeepEqual(one.databaseOf(id).sealKey, one.shared.sealKey);
  });
});
