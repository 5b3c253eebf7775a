import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tenantId } from '../../src/kernel/tenant.ts';
import { type AddedServers, Installation, rolesOf } from '../../src/postgres/installation.ts';
import { dedicatedContext } from '../../src/postgres/seal.ts';
import { parseSessionUrl } from '../../src/postgres/session_url.ts';

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

describe('rolesOf()', () => {
  it('names roles after the database', () => {
    assert.equal(rolesOf('kennel').app, 'kennel_app');
    assert.equal(rolesOf('kennel_shop').app, 'kennel_shop_app');
  });

  it('gives databases of one server different roles', () => {
    const names = ['kennel', 'shop', 'kennel_shop', 'a'.repeat(63), `${'a'.repeat(62)}b`];
    const roles = names.flatMap((name) => Object.values(rolesOf(name)));
    assert.equal(new Set(roles).size, roles.length);
  });

  it('keeps names within 63 bytes, where Postgres truncates', () => {
    for (const name of ['a'.repeat(63), `kennel${'a'.repeat(57)}`, 'я'.repeat(31)]) {
      for (const role of Object.values(rolesOf(name)))
        assert.ok(Buffer.byteLength(role) <= 63, role);
      const { database } = installed(name).dedicatedPlacement(`t_${'0'.repeat(32)}`, {
        tenant: id,
        server: 'main',
        generation: 3,
      });
      assert.ok(Buffer.byteLength(database) <= 63, database);
    }
  });
});

describe('Installation', () => {
  it("has session URLs for a tenant's database with its own login and the URL's host and parameters", () => {
    const {
      url: sessionUrl,
      database,
      login,
    } = installed('kennel').dedicatedPlacement('t_1', {
      tenant: id,
      server: 'main',
      generation: 3,
    });
    const url = new URL(sessionUrl);
    assert.deepEqual(
      [url.username, url.pathname, url.host, url.searchParams.get('sslmode')],
      [login, `/${database}`, 'host:5433', 'require'],
    );
    assert.ok(database.length <= 63);
  });

  it("starts sessions of a tenant's own database with its context", () => {
    const { url: sessionUrl, sealKey } = installed('kennel').dedicatedPlacement('t_1', {
      tenant: id,
      server: 'main',
      generation: 3,
    });
    const { searchParams } = new URL(sessionUrl);
    assert.equal(
      searchParams.get('kennel.tenant'),
      dedicatedContext(sealKey, { tenant: id, generation: 3 }),
    );
    assert.equal(searchParams.get('search_path'), '"tenant"');
    assert.equal(new URL(installed('kennel').placement('t_1').url).search, '?sslmode=require');
  });

  it('keeps names and hosts of the URL as they are', () => {
    const seals = { current: Buffer.alloc(32), other: null };
    const url = 'postgres://a%40b:p%2Fw@[::1]:5433,%2Frun%2Fpg/k%24enn?connect_timeout=2';
    const installation = new Installation(url, { installation: Buffer.alloc(32), seals }, 10);
    assert.equal(installation.database, 'k$enn');
    assert.equal(
      installation.adminUrlOf({ server: 'main', database: 'k$enn t' }),
      'postgres://a%40b:p%2Fw@[::1]:5433,%2Frun%2Fpg/k%24enn%20t?connect_timeout=2',
    );
    const { hosts, user } = parseSessionUrl(installation.servingUrl).options;
    assert.deepEqual(hosts, [
      { name: '::1', address: '::1', port: 5_433 },
      { path: '/run/pg/.s.PGSQL.5432' },
    ]);
    assert.equal(user, installation.roles.serve);
  });

  it('uses the same Unix socket as the URL', () => {
    const { url } = installed('kennel', 1, '%2Frun%2FA%20b:5433').dedicatedPlacement('t_1', {
      tenant: id,
      server: 'main',
      generation: 3,
    });
    assert.deepEqual(parseSessionUrl(url).options.hosts, [{ path: '/run/A b/.s.PGSQL.5433' }]);
  });

  it('derives the password of each role and the seal key of each database from its secret', () => {
    const one = installed('kennel');
    assert.equal(one.password('x'), installed('kennel').password('x'));
    assert.notEqual(one.password('x'), one.password('y'));
    assert.notEqual(one.password('x'), installed('kennel', 2).password('x'));
    assert.notDeepEqual(
      one.dedicatedPlacement('t_1', { server: 'main', tenant: id, generation: 3 }).sealKey,
      one.placement('shared').sealKey,
    );
  });

  it('knows the servers of the newest answer, also when an older one is late', async () => {
    const installation = installed('kennel');
    const answers = ['old', 'new'].map((name) => {
      let answer = () => {};
      const url = 'postgres://a:b@host/kennel';
      const read = new Promise<AddedServers>((resolve) => {
        answer = () => resolve(new Map([[name, { url, isLost: name === 'new' }]]));
      });
      return { answer, learned: installation.learnServers(() => read) };
    });
    for (const { answer } of answers.toReversed()) answer();
    for (const { learned } of answers) await learned;
    assert.deepEqual(installation.addedServers, ['new']);
    assert.deepEqual([installation.isLost('new'), installation.isLost('old')], [true, false]);
  });

  it('learns the servers again after a read that failed', async () => {
    const installation = installed('kennel');
    const failing = installation.learnServers(() => Promise.reject(new Error('no answer')));
    const learned = installation.learnServers(async () => new Map());
    await assert.rejects(failing, /no answer/);
    await learned;
  });
});
