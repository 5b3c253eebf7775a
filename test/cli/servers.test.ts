/** `npm run servers`: its output, its refusals, and a SIGKILL while it adds a server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { createAdministrator } from '../support/administrator.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { type SecondServer, startSecondServer } from '../support/second_server.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

describe('npm run servers', () => {
  let database: TestDatabase;
  let second: SecondServer;
  /** Its administrator is no superuser. */
  let url: string;
  before(async () => {
    [database, second] = await Promise.all([testDatabase(), startSecondServer()]);
    url = await createAdministrator(second.url, 'modest');
  });
  after(async () => {
    await Promise.all([database?.drop(), second?.stop()]);
  });

  const environment = () => ({ DATABASE_URL: database.url });
  const run = (...words: string[]) => runCommand('servers', words, environment());
  const tenants = (...words: string[]) => runCommand('tenants', words, environment());

  async function list(): Promise<{ name: string; status: string; tenants: number }[]> {
    const { out, err } = await run('list', '--json');
    assert.equal(err, '');
    assert.ok(!out.includes(new URL(url).password));
    return JSON.parse(out);
  }

  it('says how it is used', async () => {
    const { code, out } = await run('--help');
    assert.equal(code, 0);
    for (const action of ['list', 'add NAME URL', 'drain NAME', 'resume NAME', 'remove NAME']) {
      assert.ok(out.includes(action), action);
    }
  });

  it('knows a server whose addition was killed', async () => {
    assert.equal((await tenants('create', 'first', '--isolation', 'database')).code, 0);
    const words = [...nodeScript('src/cli/servers.ts'), 'add', 'two', url];
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, words, { env: { PATH, ...environment() } });
    const ended = once(child, 'exit');
    const servers = () =>
      lookInto(database.url, (sql) => sql`select from control.servers where name = 'two'`);
    await until(async () => (await servers()).length > 0);
    child.kill('SIGKILL');
    await ended;
    const [main, two] = await list();
    assert.deepEqual([main?.name, main?.tenants, two?.name], ['main', 1, 'two']);
  });

  it('continues it, with a URL from stdin: every user can read the words of a command', async () => {
    const words = [...nodeScript('src/cli/servers.ts'), 'add', 'two', '-', '--json'];
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, words, { env: { PATH, ...environment() } });
    child.stdin.end(`${url}\n`);
    assert.deepEqual(JSON.parse(await text(child.stdout)), { name: 'two', status: 'active' });
  });

  it('places tenants on the server that a command names', async () => {
    const created = await tenants(
      ...['create', 'zoo', '--isolation', 'database', '--server', 'main', '--json'],
    );
    assert.equal(JSON.parse(created.out).tenant.server, 'main', created.err);
    const moved = await tenants('move', 'zoo', '--to', 'database', '--server', 'two');
    assert.match(moved.out, /^zoo moved from database to database on two: 1 rows in/, moved.err);
  });

  it('lets the doctor examine one server', async () => {
    const doctor = await runCommand('doctor', ['--server', 'two', '--json'], environment());
    assert.equal(doctor.code, 0, doctor.out);
    const { findings } = JSON.parse(doctor.out);
    assert.ok(findings.every(({ where }: { where: string }) => where.startsWith('server two: ')));
  });

  it('refuses in one line what it cannot do, without the URL', async () => {
    const secret = 'hidden-secret';
    const closed = `postgres://kennel:${secret}@127.0.0.1:1/kennel`;
    const unable = await createAdministrator(second.url, 'unable', 'createdb');
    const inDatabase = ['--isolation', 'database', '--server', 'moon'];
    const refused: [command: string, words: string[], code: number, reason: RegExp][] = [
      ['servers', ['fly'], 2, /use list, add, drain, resume or remove/],
      ['servers', ['list', '--fast'], 2, /--fast/],
      ['servers', ['add', 'three'], 2, /URL is missing/],
      ['servers', ['add', 'Three', closed], 2, /as the name of a server/],
      ['servers', ['add', 'three', `${closed}?${secret}=1`], 2, /Cannot use the URL/],
      ['servers', ['add', 'three', closed], 1, /Cannot add the server "three": .*refused/],
      ['servers', ['add', 'two', unable], 1, /"two": its login lacks createrole/],
      ['servers', ['remove', 'moon'], 1, /there is no such server/],
      ['servers', ['remove', 'two'], 1, /1 tenants live there/],
      ['servers', ['remove', 'two', '--lost'], 2, /there is no terminal to confirm it; add --yes/],
      ['servers', ['remove', 'two', '--lost', '--yes'], 1, /it answers; drain and remove it/],
      ['servers', ['remove', 'two', '--yes'], 2, /Cannot use --yes without --lost/],
      ['servers', ['drain', 'two', '--lost'], 2, /Cannot use --lost with "drain"/],
      ['psql', ['--server'], 2, /NAME is missing/],
      ['psql', ['--server', 'moon'], 1, /there is no such server/],
      ['tenants', ['create', 'far', ...inDatabase], 1, /there is no such server/],
      ['tenants', ['create', 'far', '--server', 'two'], 2, /shared mode live on the server "main"/],
      ['tenants', ['move', 'zoo', '--to', 'database', '--server', 'moon'], 1, /no such server/],
      ['tenants', ['move', 'zoo', '--to', 'schema', '--server', 'two'], 2, /schema mode live on/],
      ['doctor', ['--server', 'moon'], 1, /there is no such server/],
    ];
    const all = await Promise.all(
      refused.map(([command, words]) => runCommand(command, words, environment())),
    );
    for (const [at, [, , code, reason]] of refused.entries()) {
      const ended = all[at] ?? { code: null, out: '', err: '' };
      assert.match(ended.err, reason);
      assert.match(ended.err, /^kennel: [^\n]+\n$/);
      assert.equal(ended.code, code, ended.err);
      assert.ok(!`${ended.out}${ended.err}`.includes(secret));
    }
  });

  it('lets psql reach each server', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kennel-psql-'));
    const psql = '#!/bin/sh\nprintf "%s %s" "$PGPORT" "$*"\n';
    await writeFile(join(folder, 'psql'), psql, { mode: 0o755 });
    const path = `${folder}:${process.env.PATH}`;
    const { out, err } = await runCommand('psql', ['--server', 'two', '-d', 'other'], {
      ...environment(),
      PATH: path,
    });
    assert.equal(out, `${new URL(url).port} -d other`, err);
    await rm(folder, { recursive: true });
  });

  it('drains and removes a server', async () => {
    const drained = await run('drain', 'two', '--json');
    assert.deepEqual(JSON.parse(drained.out), { name: 'two', moved: 1, failed: [], left: 0 });
    const asked = await tenants('create', 'far', '--isolation', 'database', '--server', 'two');
    assert.match(asked.err, /^kennel: The server "two" is being drained\n$/);
    assert.equal((await run('remove', 'two')).out, 'two is removed\n');
    assert.deepEqual(
      (await list()).map(({ name, tenants }) => ({ name, tenants })),
      [{ name: 'main', tenants: 2 }],
    );
  });

  it('gives up a server that is lost, with its tenants', async () => {
    assert.equal((await run('add', 'two', url)).code, 0);
    const words = ['--isolation', 'database', '--server', 'two'];
    assert.equal((await tenants('create', 'gone', ...words)).code, 0);
    await second.cutOff();
    const { out, err, code } = await run('remove', 'two', '--lost', '--yes');
    assert.match(
      out,
      /^gone was deleted; its trail ends with [0-9a-f]{64}\ntwo is removed\n$/,
      err,
    );
    assert.equal(code, 0);
    assert.deepEqual(
      (await list()).map(({ name }) => name),
      ['main'],
    );
  });
});
