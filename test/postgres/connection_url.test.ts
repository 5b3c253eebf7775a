import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { connectionOptions } from '../../src/postgres/connection_options.ts';
import { ConnectionUrlError, keywordsIn, urlOf } from '../../src/postgres/connection_url.ts';

const optionsOf = (url: string) => connectionOptions(keywordsIn(url));

describe('keywordsIn()', () => {
  // Source: the examples of the manual, 34.1.1.2, and of libpq's own uri-regress tests.
  for (const [url, keywords] of Object.entries({
    'postgresql://': {},
    'postgresql://localhost': { host: 'localhost' },
    'postgresql://localhost:5433': { host: 'localhost', port: '5433' },
    'postgresql://localhost/mydb': { host: 'localhost', dbname: 'mydb' },
    'postgresql://user:secret@localhost': { host: 'localhost', user: 'user', password: 'secret' },
    'postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp': {
      host: 'localhost',
      user: 'other',
      dbname: 'otherdb',
      connect_timeout: '10',
      application_name: 'myapp',
    },
    'postgresql://host1:123,host2:456/somedb?target_session_attrs=any': {
      host: 'host1,host2',
      port: '123,456',
      dbname: 'somedb',
      target_session_attrs: 'any',
    },
    'postgresql:///mydb?host=localhost&port=5433': {
      dbname: 'mydb',
      host: 'localhost',
      port: '5433',
    },
    'postgresql://[2001:db8::1234]/database': { host: '2001:db8::1234', dbname: 'database' },
    'postgresql://[::1]:5433,h2/db': { host: '::1,h2', port: '5433,', dbname: 'db' },
    'postgresql://%2Fvar%2Flib%2Fpostgresql/dbname': {
      host: '/var/lib/postgresql',
      dbname: 'dbname',
    },
    'postgres://uri-user@/?host=/path/to/socket/dir': {
      user: 'uri-user',
      host: '/path/to/socket/dir',
    },
    'postgres://a%40b:p%25%2F%3F%3A@h/k%24enn': {
      user: 'a@b',
      password: 'p%/?:',
      host: 'h',
      dbname: 'k$enn',
    },
    'postgres://u:p?w@h/k$enn': { user: 'u', password: 'p?w', host: 'h', dbname: 'k$enn' },
    'postgres://h/db?ssl=true': { host: 'h', dbname: 'db', sslmode: 'require' },
    'postgres://h/db?user=u&password=p%26': {
      host: 'h',
      dbname: 'db',
      user: 'u',
      password: 'p&',
    },
  })) {
    it(`reads ${url}`, () => assert.deepEqual(keywordsIn(url), keywords));
  }

  for (const url of [
    'mysql://u:secret@h/db',
    'h/db',
    'postgres:/h/db',
    'postgres://u:sec%ret@h/db',
    'postgres://u:secret%@h/db',
    'postgres://u:secret%00@h/db',
    'postgres://u:secret%ff@h/db',
    'postgres://u:secret@h/db?sslmode',
    'postgres://u:secret@h/db?sslmode=a=b',
    'postgres://u:secret@[::1/db',
    'postgres://u:/secret@h/db',
    'postgres://u:p/secret@h/db',
    'postgres://u:secret@::1/db',
    'postgres://u:secret@[::1]x/db',
  ]) {
    it(`refuses ${url} without its password in the message`, () => {
      assert.throws(
        () => optionsOf(url),
        (error: Error) =>
          error instanceof ConnectionUrlError &&
          /^expected /.test(error.message) &&
          !/sec/.test(error.message),
      );
    });
  }

  it('writes every keyword: ports without a host, and a password without a user', () => {
    for (const url of [
      'postgres://u:p@/k?hostaddr=10.0.0.1,10.0.0.2&port=5432,5433',
      'postgres://:secret@h/db',
      'postgres://h/db?password=secret',
    ]) {
      assert.deepEqual(keywordsIn(urlOf(keywordsIn(url))), keywordsIn(url));
    }
  });

  it('reads every URL that urlOf() writes', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !/[\0\p{Cs}]/u.test(text));
    const host = fc.constantFrom('h.example', '::1', '/run/A b', '10.0.0.1', 'fe80::1%eth0');
    fc.assert(
      fc.property(
        name,
        name,
        name,
        host,
        fc.constantFrom('5433', undefined),
        (user, password, dbname, one, port) => {
          const keywords = {
            user,
            password,
            dbname,
            host: one,
            ...(port && { port }),
            sslmode: 'require',
          };
          assert.deepEqual(keywordsIn(urlOf(keywords)), keywords);
          assert.equal(urlOf(keywordsIn(urlOf(keywords))), urlOf(keywords));
        },
      ),
    );
  });
});

describe('connectionOptions()', () => {
  it('has libpq’s defaults', () => {
    const { hosts, tls, channelBinding, mustWrite, connectTimeoutMs, keepAlive } =
      optionsOf('postgres://u@h/db');
    assert.deepEqual(hosts, [{ name: 'h', address: 'h', port: 5_432 }]);
    assert.equal(tls.mode, 'prefer');
    assert.deepEqual(
      { channelBinding, mustWrite, connectTimeoutMs, keepAlive },
      {
        channelBinding: 'prefer',
        mustWrite: false,
        connectTimeoutMs: Number.POSITIVE_INFINITY,
        keepAlive: { enabled: true, idleMs: 0 },
      },
    );
  });

  it('gives each host its own port, or all hosts one port', () => {
    const hostsOf = (url: string) => optionsOf(url).hosts;
    assert.deepEqual(hostsOf('postgres://a:1,b:2/db'), [
      { name: 'a', address: 'a', port: 1 },
      { name: 'b', address: 'b', port: 2 },
    ]);
    assert.deepEqual(hostsOf('postgres:///db?host=a,b&port=7&hostaddr=10.0.0.1,::1'), [
      { name: 'a', address: '10.0.0.1', port: 7 },
      { name: 'b', address: '::1', port: 7 },
    ]);
    assert.deepEqual(hostsOf('postgres://%2Frun%2Fpg:7/db'), [{ path: '/run/pg/.s.PGSQL.7' }]);
  });

  for (const [query, mode] of [
    ['sslrootcert=system', 'verify-full'],
    ['sslmode=require&sslrootcert=/ca.pem', 'verify-ca'],
    ['sslmode=verify-full&sslrootcert=/ca.pem', 'verify-full'],
    ['sslmode=require', 'require'],
  ] as const) {
    it(`reads ${query} as ${mode}`, () => {
      assert.equal(optionsOf(`postgres://h/db?${query}`).tls.mode, mode);
    });
  }

  // URLs from managed services and from libpq's manual.
  for (const query of [
    'sslmode=require&channel_binding=require',
    'sslmode=verify-full&sslrootcert=system',
    'keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=9',
    'gssencmode=disable&krbsrvname=postgres&gsslib=gssapi',
    'gssencmode=prefer',
    'fallback_application_name=x&application_name=y&client_encoding=auto',
    'target_session_attrs=any',
    'target_session_attrs=read-write',
    'load_balance_hosts=random',
    'sslnegotiation=direct&sslmode=require',
    'ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.3&sslsni=0&sslcompression=0',
    'require_auth=scram-sha-256,md5',
    'require_auth=!password',
    'sslmode=',
  ]) {
    it(`accepts ${query}`, () => void optionsOf(`postgres://u:p@h/db?${query}`));
  }

  for (const [query, named] of [
    ['TimeZone=Europe/Berlin', 'TimeZone'],
    ['DateStyle=German', 'DateStyle'],
    ['statement_timeout=0', 'statement_timeout'],
    ['lock_timeout=0', 'lock_timeout'],
    ['search_path=public', 'search_path'],
    ['kennel.tenant=x', 'parameters'],
    ['options=-c%20statement_timeout%3D0', 'options'],
    ['sslmode=maybe', 'sslmode'],
    ['sslmode=prefer&sslrootcert=system', 'sslmode=verify-full'],
    ['sslmode=verify-ca', 'sslrootcert'],
    ['sslcert=/c.pem', 'sslkey'],
    ['sslnegotiation=direct', 'sslmode'],
    ['gssencmode=require', 'gssencmode'],
    ['target_session_attrs=standby', 'target_session_attrs'],
    ['target_session_attrs=read-only', 'target_session_attrs'],
    ['replication=database', 'replication'],
    ['service=prod', 'service'],
    ['passfile=/x', 'passfile'],
    ['requirepeer=postgres', 'requirepeer'],
    ['require_auth=kerberos', 'require_auth'],
    ['require_auth=md5,!password', 'require_auth'],
    ['connect_timeout=soon', 'connect_timeout'],
    ['channel_binding=maybe', 'channel_binding'],
    ['port=0', 'ports'],
    ['port=70000', 'ports'],
    ['port=1,2', 'port'],
    ['host=a,b&hostaddr=10.0.0.1', 'hostaddr'],
    ['host=/x'.padEnd(130, 'x'), 'socket'],
  ] as const) {
    it(`refuses ${query} and names the wrong parameter`, () => {
      assert.throws(() => optionsOf(`postgres://u:secret@h/db?${query}`), {
        name: 'ConnectionUrlError',
        message: new RegExp(named),
      });
    });
  }

  for (const url of [
    'postgres:///db',
    'postgres://a,,b/db',
    'postgres://u:p@ss@h/db',
    'postgres://u:p/w@h/db',
    'postgres://u:p/w:x@h/db',
  ]) {
    it(`refuses ${url}`, () => {
      assert.throws(() => optionsOf(url), { name: 'ConnectionUrlError' });
    });
  }
});
