import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { psqlVariables } from '../../src/cli/psql_variables.ts';

describe('psqlVariables()', () => {
  it('takes a URL apart, decoded', () => {
    assert.deepEqual(psqlVariables('postgres://a%40b:p%2Fw@db.example:6543/my%20db'), {
      PGHOST: 'db.example',
      PGPORT: '6543',
      PGUSER: 'a@b',
      PGPASSWORD: 'p/w',
      PGDATABASE: 'my db',
    });
  });

  it("finds a Unix socket's folder, and the port that is part of its name", () => {
    const { PGHOST, PGPORT } = psqlVariables('postgres://me@%2Frun%2FA%20b/db');
    assert.deepEqual([PGHOST, PGPORT], ['/run/A b', '5432']);
  });

  it('takes an IPv6 address out of its brackets', () => {
    assert.equal(psqlVariables('postgres://me@[::1]/db').PGHOST, '::1');
  });

  it('keeps what the URL says of TLS, and of options', () => {
    const url =
      'postgres://me@h/db?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20x.y%3D1&ssl=1';
    const { PGSSLMODE, PGSSLROOTCERT, PGOPTIONS, PGSSL } = psqlVariables(url);
    assert.deepEqual(
      [PGSSLMODE, PGSSLROOTCERT, PGOPTIONS, PGSSL],
      ['verify-full', '/ca.pem', '-c x.y=1', undefined],
    );
  });
});
