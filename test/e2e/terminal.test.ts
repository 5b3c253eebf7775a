/** A closed terminal, and streams that accept no more output: their effect on a server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { clientOf, type Onboarded, onboard } from '../support/client.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { freePort } from '../support/programs.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let kennel: Kennel;
let tenant: Onboarded;
before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url);
  tenant = await onboard(kennel, 'terminal-pets');
});
after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('a signal to stop', () => {
  for (const signal of ['SIGHUP', 'SIGQUIT'] as const) {
    it(`${signal} stops the server with exit code 0 and with all usage written`, async () => {
      const leaving = await startKennel(database.url, { SHUTDOWN_DELAY_MS: '0' });
      const before = await billed();
      assert.equal((await clientOf(leaving, tenant)('GET /api/me')).status, 200);
      leaving.signal(signal);
      const { code, stdout, stderr } = await leaving.ended;
      assert.deepEqual([code, stdout.includes('"msg":"stopped"')], [0, true], stderr);
      assert.equal(await billed(), before + 1);
    });
  }
});

describe('a server whose stdout and stderr cannot be written', () => {
  for (const [fault, redirection] of Object.entries({
    'stderr is full': '2>/dev/full',
    'stdout is full': '>/dev/full',
    'both are full': '>/dev/full 2>&1',
    'both are closed': '>&- 2>&-',
    'the reader of both has gone': '',
  })) {
    const skip = redirection.includes('full') && process.platform !== 'linux' && 'needs /dev/full';
    it(`serves, and stops with exit code 0, when ${fault}`, { skip }, async (t) => {
      const dataFolder = await mkdtemp(join(tmpdir(), 'kennel-streams-'));
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const node = [process.execPath, ...nodeScript('src/main.ts')];
      const child = spawn('sh', ['-c', `exec "$@" ${redirection}`, 'sh', ...node], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...{ PATH: process.env.PATH, PORT: `${port}`, DATA_DIR: dataFolder, DEMO: '1' },
          ...{ DATABASE_URL: database.url, ADMIN_TOKEN: adminToken, SHUTDOWN_DELAY_MS: '0' },
        },
      });
      t.after(() => child.kill('SIGKILL'));
      const ended = once(child, 'exit');
      child.stdout.destroy();
      child.stderr.destroy();
      await until(() => {
        assert.equal(child.exitCode, null, 'it must not end');
        // Not with a connection alone: a start listens for a moment to check whether it may.
        return fetch(url).then(
          () => true,
          () => false,
        );
      }, 120_000);
      for (let count = 0; count < 50; count += 1) {
        assert.equal((await clientOf({ url }, tenant)('GET /api/me')).status, 200);
      }
      child.kill('SIGHUP');
      assert.deepEqual(await ended, [0, null]);
      await rm(dataFolder, { recursive: true });
    });
  }
});

/** Read from the database, because a request of the tenant would be billed too. */
function billed(): Promise<number> {
  return lookInto(database.url, async (sql) => {
    const [row] = await sql<{ billed: number }[]>`
      select coalesce(sum(billed), 0)::int as billed
      from control.usage_days
      where tenant_id = ${tenant.id}`;
    return row?.billed ?? 0;
  });
}
