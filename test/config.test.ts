import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertServable, ConfigError, readConfig } from '../src/config.ts';

describe('readConfig()', () => {
  it('needs nothing, and then brings its own database and the demo', () => {
    const { databaseUrl, demo, port, isolation, resolution } = readConfig({});
    assert.deepEqual(
      { databaseUrl, demo, port, isolation, resolution },
      {
        databaseUrl: null,
        demo: true,
        port: 8080,
        isolation: 'shared',
        resolution: ['subdomain', 'path', 'header'],
      },
    );
  });

  it('takes an empty variable for one that is not set', () => {
    assert.deepEqual(readConfig({ PORT: '', DATABASE_URL: '' }).port, 8080);
  });

  it('leaves the demo out on a database of the user', () => {
    assert.equal(readConfig({ DATABASE_URL: 'postgres://u:p@host/db' }).demo, false);
  });

  it('takes a database by its Unix socket as libpq does', () => {
    const url = 'postgres://u:p@%2Frun%2Fpostgresql:5433/db';
    assert.equal(readConfig({ DATABASE_URL: url }).databaseUrl, url);
    assert.throws(() => readConfig({ DATABASE_URL: 'postgres://u:p@%zz/db' }), /DATABASE_URL/);
  });

  it('names every wrong variable in a line, and never its value', () => {
    const wrong = {
      ISOLATION: 'secret-1',
      PORT: '70000',
      DATABASE_URL: 'mysql://u:secret-2@host/db',
      REDIS_URL: 'secret-3',
      RESOLUTION: 'path,path',
      BASE_DOMAIN: 'no domain',
      ADMIN_TOKEN: 'secret 4',
      DEMO: 'yes',
      SMTP_URL: 'http://secret-5',
      TRUSTED_PROXIES: '10.0.0.0/99',
      CORS_ORIGINS: 'https://app.example, *',
      DB_CONNECTIONS: '0',
      LOG_LEVEL: 'loud',
    };
    const error = errorOf(() => readConfig(wrong));
    assert.deepEqual(
      error.lines.map((line) => /^Cannot use (\w+): expected /.exec(line)?.[1]).sort(),
      Object.keys(wrong).sort(),
    );
    assert.doesNotMatch(error.message, /secret/);
  });
});

describe('assertServable()', () => {
  it('asks for a token of its own where the database is', () => {
    const url = { DATABASE_URL: 'postgres://u:p@host/db' };
    assert.match(errorOf(() => assertServable(readConfig(url))).message, /ADMIN_TOKEN/);
    assertServable(readConfig({ ...url, ADMIN_TOKEN: 'token' }));
    assertServable(readConfig({}));
  });
});

function errorOf(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error;
  }
  return assert.fail('it was taken');
}
