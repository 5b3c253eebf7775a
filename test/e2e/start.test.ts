/** A start that fails: one line says why, and the exit code says whose fault it is. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { adminToken, type Ended, type Kennel, runKennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let kennel: Kennel;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('a start that fails', () => {
  it('reports that the port is taken', async () => {
    const { port } = new URL(kennel.url);
    const ended = await runKennel({ ...onDatabase(database.url), PORT: port });
    assertOneLine(ended, 1, new RegExp(`127\\.0\\.0\\.1:${port}.*taken`));
  });

  it('names each wrong variable in one line without its value', async () => {
    const { code, stderr } = await runKennel({
      DATABASE_URL: 'mysql://secret@localhost/kennel',
      REDIS_URL: 'secret',
      SMTP_URL: 'secret',
      ISOLATION: 'secret',
      PORT: '70000',
      RESOLUTION: 'path,path',
      BASE_DOMAIN: 'no domain',
      ADMIN_TOKEN: 'secret of two words',
      TRUSTED_PROXIES: 'secret/8',
      CORS_ORIGINS: 'https://app.example, secret',
      DB_CONNECTIONS: '0',
      SHUTDOWN_DELAY_MS: 'secret',
      KEEP_ALIVE_SECONDS: '0',
      DATA_DIR: '/tmp/secret\nfolder',
      LOG_LEVEL: 'loud',
      DEMO: 'yes',
    });
    assert.equal(code, 78, stderr);
    const named = stderr
      .trim()
      .split('\n')
      .map((line) => /^kennel: Cannot use (\w+): /.exec(line)?.[1]);
    assert.deepEqual(named.sort(), [
      'ADMIN_TOKEN',
      'BASE_DOMAIN',
      'CORS_ORIGINS',
      'DATABASE_URL',
      'DATA_DIR',
      'DB_CONNECTIONS',
      'DEMO',
      'ISOLATION',
      'KEEP_ALIVE_SECONDS',
      'LOG_LEVEL',
      'PORT',
      'REDIS_URL',
      'RESOLUTION',
      'SHUTDOWN_DELAY_MS',
      'SMTP_URL',
      'TRUSTED_PROXIES',
    ]);
    assert.doesNotMatch(stderr, /secret/);
  });

  it('needs ADMIN_TOKEN for an external database', async () => {
    const ended = await runKennel({ DATABASE_URL: database.url });
    assertOneLine(ended, 78, /Cannot use ADMIN_TOKEN: /);
  });

  for (const [fault, damage] of Object.entries({
    'its address refuses connections': (url: URL) => {
      url.port = '1';
    },
    'its socket does not exist': (url: URL) => {
      url.host = encodeURIComponent('/nowhere');
    },
    'its password is wrong': (url: URL) => {
      url.password = 'wrong';
    },
    'its login does not exist': (url: URL) => {
      url.username = 'nobody_knows';
    },
    'its database does not exist': (url: URL) => {
      url.pathname = '/nowhere';
    },
    'its database has a line end in its name': (url: URL) => {
      url.pathname = '/no%0Awhere';
    },
  })) {
    it(`reports for DATABASE_URL that ${fault}`, async (t) => {
      const url = new URL(database.url);
      if (url.password === '' && fault.includes('password')) return t.skip('it asks for none');
      damage(url);
      assertOneLine(await runKennel(onDatabase(url.href)), 1, /Cannot use DATABASE_URL \(.+\): .+/);
    });
  }
});

function onDatabase(url: string) {
  return { DATABASE_URL: url, ADMIN_TOKEN: adminToken };
}

/** The whole of stderr is one line of Kennel's, without a password. */
function assertOneLine({ code, stderr }: Ended, expected: number, line: RegExp): void {
  assert.equal(code, expected, stderr);
  assert.match(stderr, /^kennel: Cannot .+\n$/);
  assert.match(stderr, line);
  const { password } = new URL(database.url);
  assert.ok(password === '' || !stderr.includes(password));
}
