import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { transportOf } from '../../src/postgres/unix_socket.ts';

describe('transportOf()', () => {
  for (const [url, path] of [
    ['postgres://me:pw@%2Frun%2Fpostgresql/db', '/run/postgresql/.s.PGSQL.5432'],
    ['postgresql://me@%2frun%2FA%20b:5433/db?sslmode=require', '/run/A b/.s.PGSQL.5433'],
  ] as const) {
    it(`finds ${path}, where TLS has no place`, () => {
      assert.deepEqual(transportOf(url), { path, ssl: false });
    });
  }

  for (const host of ['localhost', '127.0.0.1:5433', '[::1]:5432', 'run%2Fpostgresql']) {
    it(`leaves ${host} to the driver`, () => {
      assert.deepEqual(transportOf(`postgres://me:pw@${host}/db?sslmode=require`), {});
    });
  }

  it('refuses a path that an address cannot hold', () => {
    const folder = encodeURIComponent(`/${'x'.repeat(108)}`);
    assert.throws(() => transportOf(`postgres://me@${folder}/db`), /more than 10[37] bytes/);
  });
});
