import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConfigError, readConfig, readServerConfig } from '../src/config.ts';
import { connectionOptions } from '../src/postgres/connection_options.ts';
import { keywordsIn } from '../src/postgres/connection_url.ts';

const strong = '0123456789abcdef0123456789abcdef';

describe('readConfig()', () => {
  it('needs no variable: the defaults are the embedded database and the demo tenants', () => {
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

  it('treats an empty variable as unset', () => {
    assert.deepEqual(readConfig({ PORT: '', DATABASE_URL: '' }).port, 8080);
  });

  it('leaves out the demo tenants on an external database', () => {
    assert.equal(readConfig({ DATABASE_URL: 'postgres://u:p@host/db' }).demo, false);
  });

  it('accepts the URL of a Unix socket', () => {
    const url = 'postgres://u:p@%2Frun%2Fpostgresql:5433/db';
    assert.equal(readConfig({ DATABASE_URL: url }).databaseUrl, url);
    assert.throws(() => readConfig({ DATABASE_URL: 'postgres://u:p@%zz/db' }), /DATABASE_URL/);
  });

  it('accepts addresses and names as HOST', () => {
    for (const HOST of ['0.0.0.0', '::', 'fe80::1%eth0', 'localhost', 'my_host.example']) {
      assert.equal(readConfig({ HOST }).host, HOST);
    }
    for (const HOST of ['not a host', '999.1.1.1', 'localhost:8080', '[::1]']) {
      assert.throws(() => readConfig({ HOST }), /^ConfigError: Cannot use HOST: expected an IP/);
    }
  });

  it('takes the name of the user for a missing database, as libpq does', () => {
    const { databaseUrl } = readConfig({ DATABASE_URL: 'postgres://kennel:p@host/' });
    assert.ok(databaseUrl);
    assert.equal(connectionOptions(keywordsIn(databaseUrl)).database, 'kennel');
    const ofServer = { DATABASE_URL: 'postgres://postgres:p@host' };
    assert.throws(() => readConfig(ofServer), /"postgres" belongs to the server/);
  });

  it('normalizes a database URL', () => {
    const { databaseUrl } = readConfig({
      DATABASE_URL: 'postgresql://u@[::1]:5432/k$enn?password=p%25&ssl=true',
    });
    assert.equal(databaseUrl, 'postgres://u:p%25@[::1]:5432/k%24enn?sslmode=require');
  });

  for (const [variable, url] of [
    ['DATABASE_URL', 'postgres://u:secret%@h/db'],
    ['DATABASE_URL', 'postgres://u:secret@h/db?DateStyle=German'],
    ['DATABASE_URL', 'postgres://u:secret@h/db?sslrootcert=/no/such.pem'],
    ['DATABASE_URL', `postgres://u:secret@h/db?sslrootcert=${import.meta.dirname}/config.test.ts`],
    ['REDIS_URL', 'redis://u:secret%@h'],
    ['REDIS_URL', 'redis://:secret@h/zero'],
    ['REDIS_URL', 'redis://:secret@h?commandTimeout=99999'],
    ['REDIS_URL', 'redis://:secret@::1:6379'],
    ['SMTP_URL', 'smtp://u:secret%@h'],
    ['SMTP_URL', 'smtp://u:secret@h:99999'],
    ['SMTP_URL', 'smtp://u:secret@h?connectionTimeout=0'],
  ] as const) {
    it(`refuses ${variable}=${url} in one line without the value`, () => {
      const { lines } = errorOf(() => readConfig({ [variable]: url }));
      assert.equal(lines.length, 1);
      assert.match(String(lines), new RegExp(`^Cannot use ${variable}: expected [^\\n]+$`));
      assert.doesNotMatch(String(lines), /secret/);
    });
  }

  it('names each wrong variable in one line without its value', () => {
    const wrong = {
      ISOLATION: 'secret-1',
      PORT: '70000',
      DATABASE_URL: 'mysql://u:secret-2@host/db',
      REDIS_URL: 'secret-3',
      RESOLUTION: 'path,path',
      BASE_DOMAIN: 'no domain',
      ADMIN_TOKEN: 'secret 4',
      METRICS_TOKEN: 'secret-6-of-31-characters-xxxxx',
      DEMO: 'yes',
      SMTP_URL: 'http://secret-5',
      TRUSTED_PROXIES: '10.0.0.0/99',
      CORS_ORIGINS: 'https://app.example, *',
      DB_CONNECTIONS: '0',
      SHUTDOWN_DELAY_MS: '-1',
      KEEP_ALIVE_SECONDS: '0',
      DATA_DIR: '/tmp/secret\nfolder',
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

describe("an operator's token", () => {
  it('has at least 32 characters', () => {
    for (const name of ['ADMIN_TOKEN', 'METRICS_TOKEN']) {
      const weak = { [name]: strong.slice(1) };
      assert.match(
        errorOf(() => readConfig(weak)).message,
        new RegExp(`^Cannot use ${name}: expected at least 32`),
      );
      readConfig({ [name]: strong });
    }
  });

  it('must differ from the metrics token', () => {
    const both = { ADMIN_TOKEN: strong, METRICS_TOKEN: strong };
    assert.match(errorOf(() => readConfig(both)).message, /^Cannot use METRICS_TOKEN: expected /);
  });
});

describe('a variable in a file', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-secrets-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function fileWith(text: string): Promise<string> {
    const file = join(folder, randomUUID());
    await writeFile(file, text);
    return file;
  }

  it('is read without its line end', async () => {
    const config = readConfig({
      DATABASE_URL_FILE: await fileWith('postgres://u:p@host/db\n'),
      REDIS_URL_FILE: await fileWith('redis://host\n'),
      SMTP_URL_FILE: await fileWith('smtp://host\n'),
      ADMIN_TOKEN_FILE: await fileWith(`${strong}\r\n`),
      METRICS_TOKEN_FILE: await fileWith(`${strong}-of-metrics`),
    });
    assert.deepEqual(
      [config.databaseUrl, config.redisUrl, config.smtpUrl, config.adminToken, config.metricsToken],
      ['postgres://u:p@host/db', 'redis://host', 'smtp://host', strong, `${strong}-of-metrics`],
    );
  });

  it('is checked like a variable that is set directly', async () => {
    const short = { ADMIN_TOKEN_FILE: await fileWith('secret\n') };
    assert.match(errorOf(() => readConfig(short)).message, /^Cannot use ADMIN_TOKEN: /);
  });

  it("is refused without the file's name when the file is missing or empty, or the variable is set too", async () => {
    const wrong = {
      DATABASE_URL_FILE: join(folder, 'secret'),
      REDIS_URL_FILE: await fileWith('\n'),
      ADMIN_TOKEN_FILE: await fileWith(strong),
      ADMIN_TOKEN: strong,
    };
    const { lines } = errorOf(() => readConfig(wrong));
    assert.deepEqual(lines, [
      'Cannot use DATABASE_URL_FILE: expected a file that can be read (ENOENT)',
      'Cannot use REDIS_URL_FILE: expected a file that is not empty',
      'Cannot use ADMIN_TOKEN_FILE: ADMIN_TOKEN is set too; unset one of them',
    ]);
  });
});

describe('readServerConfig()', () => {
  it('needs ADMIN_TOKEN for an external database', () => {
    const url = { DATABASE_URL: 'postgres://u:p@host/db' };
    assert.match(errorOf(() => readServerConfig(url)).message, /ADMIN_TOKEN/);
    readServerConfig({ ...url, ADMIN_TOKEN: strong });
    readServerConfig({});
    readConfig(url);
  });

  it('names what is missing together with all that is wrong', () => {
    const tokens = { ADMIN_TOKEN: strong, METRICS_TOKEN: strong };
    for (const [wrong, names] of [
      [{ DATABASE_URL: 'mysql://host', PORT: 'x' }, ['PORT', 'DATABASE_URL', 'ADMIN_TOKEN']],
      [{ DATABASE_URL_FILE: '/nowhere' }, ['DATABASE_URL_FILE', 'ADMIN_TOKEN']],
      [{ ...tokens, PORT: 'x' }, ['PORT', 'METRICS_TOKEN']],
    ] as const) {
      const { lines } = errorOf(() => readServerConfig(wrong));
      assert.deepEqual(
        lines.map((line) => /^Cannot use (\w+): /.exec(line)?.[1]),
        names,
      );
    }
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
