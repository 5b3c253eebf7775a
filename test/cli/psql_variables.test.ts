import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { psqlVariables, withoutConnection } from '../../src/cli/psql_variables.ts';

describe('psqlVariables()', () => {
  it('decodes each part of a URL', () => {
    assert.deepEqual(psqlVariables('postgres://a%40b:p%2Fw@db.example:6543/my%20db'), {
      PGHOST: 'db.example',
      PGPORT: '6543',
      PGUSER: 'a@b',
      PGPASSWORD: 'p/w',
      PGDATABASE: 'my db',
    });
  });

  it('reads the folder and the port of a Unix socket', () => {
    const { PGHOST, PGPORT } = psqlVariables('postgres://me@%2Frun%2FA%20b:5433/db');
    assert.deepEqual([PGHOST, PGPORT], ['/run/A b', '5433']);
  });

  it('removes the brackets of an IPv6 address', () => {
    assert.equal(psqlVariables('postgres://me@[::1]/db').PGHOST, '::1');
  });

  it('keeps every parameter that libpq has a variable for', () => {
    const query =
      'sslmode=verify-full&sslrootcert=/ca.pem&channel_binding=require&connect_timeout=3';
    const more = 'target_session_attrs=primary&sslpassword=x&keepalives=1';
    assert.deepEqual(psqlVariables(`postgres://me@h1,[::1]:1/db?${query}&${more}`), {
      PGHOST: 'h1,::1',
      PGPORT: ',1',
      PGUSER: 'me',
      PGDATABASE: 'db',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/ca.pem',
      PGCHANNELBINDING: 'require',
      PGCONNECT_TIMEOUT: '3',
      PGTARGETSESSIONATTRS: 'primary',
    });
  });
});

describe('withoutConnection()', () => {
  it('removes the variables of libpq that choose a server, and nothing else', () => {
    const kept = { PATH: '/bin', PAGER: 'less', PGDATESTYLE: 'German' };
    const other = { PGSERVICE: 'prod', PGHOSTADDR: '::1', PGTARGETSESSIONATTRS: 'standby' };
    const options = { PGOPTIONS: '-c search_path=other' };
    assert.deepEqual(
      withoutConnection({ ...kept, ...other, ...options, PGSSLMODE: 'disable' }),
      kept,
    );
  });
});
