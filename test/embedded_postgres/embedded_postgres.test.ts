import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import postgres from 'postgres';
import { nodeScript } from '../../bench/node_script.ts';
import { binariesFor } from '../../src/embedded_postgres/binaries.ts';
import type { ServerSettings } from '../../src/embedded_postgres/cluster.ts';
import { type Embedded, startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { firstLine } from '../support/first_line.ts';
import { copyCluster, openFolder, testLimits, unsafeButFast } from '../support/test_cluster.ts';

const asRoot = process.getuid?.() === 0;

let parent: string;
let folder: string;
let running: Embedded | undefined;
let children: ChildProcess[] = [];

beforeEach(async () => {
  parent = await openFolder();
  folder = join(parent, 'postgres');
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await running?.halt();
  running = undefined;
  await rm(parent, { recursive: true, force: true });
});

async function start(settings: ServerSettings = unsafeButFast): Promise<Embedded> {
  running = await startEmbedded({ folder, settings, limits: testLimits });
  return running;
}

/** Another process that uses the same folder. */
async function startElsewhere() {
  const script = nodeScript('test/support/embedded_process.ts');
  const child = spawn(process.execPath, [...script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const { url, adopted }: { url: string; adopted: boolean } = JSON.parse(await firstLine(child));
  return { child, url, adopted };
}

async function query(url: string, text: string): Promise<object[]> {
  const sql = postgres(url, { max: 1, connect_timeout: 5 });
  return [...(await sql.unsafe(text).finally(() => sql.end({ timeout: 1 })))];
}

async function serverPid(): Promise<number | undefined> {
  return (await runningPostmaster(join(folder, 'data')))?.pid;
}

describe('startEmbedded() on a fresh folder', () => {
  it('serves a database on 127.0.0.1 with a password', async () => {
    const { url, adopted } = await start();
    assert.equal(adopted, false);
    assert.match(url, /^postgres:\/\/kennel:[0-9a-f]{64}@127\.0\.0\.1:\d+\/kennel$/);
    assert.deepEqual(await query(url, 'select current_database() as name'), [{ name: 'kennel' }]);
    await assert.rejects(query(url.replace(/:[0-9a-f]{64}@/, ':wrong@'), 'select 1'), /password/);
  });

  it('writes the URL to a file that only its owner can read', async () => {
    const { url } = await start();
    const path = join(parent, 'database-url');
    assert.equal((await readFile(path, 'utf8')).trim(), url);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('makes one cluster and one server when two start at once', async () => {
    const [one, other] = await Promise.all([startElsewhere(), start()]);
    assert.equal(one.url, other.url);
    assert.notEqual(one.adopted, other.adopted);
    assert.deepEqual((await readdir(parent)).sort(), ['database-url', 'postgres']);
  });

  it('removes the unfinished cluster of a killed process', async () => {
    const abandoned = `${folder}.draft-2147483647-x`;
    await mkdir(abandoned);
    await start();
    await assert.rejects(stat(abandoned), /ENOENT/);
  });

  it('reports a folder that holds something else', async () => {
    await mkdir(folder);
    await writeFile(join(folder, 'letter.txt'), 'dear');
    await assert.rejects(start(), { name: 'StartError', message: /holds something else/ });
  });

  it('reports a folder without the right to write', { skip: asRoot && 'root may' }, async () => {
    await chmod(parent, 0o555);
    await assert.rejects(start(), { name: 'StartError', message: /is closed to this user/ });
  });

  it('reports a platform without binaries', async () => {
    await assert.rejects(binariesFor('plan9-mips'), /no binaries for plan9-mips.*DATABASE_URL/);
  });
});

describe('startEmbedded() on an existing cluster', () => {
  beforeEach(() => copyCluster(folder));

  it('keeps the data over a restart', async () => {
    const first = await start();
    await query(first.url, 'create table pets as select 7 as id');
    await first.stop();
    const second = await start();
    assert.equal(second.adopted, false);
    assert.deepEqual(await query(second.url, 'select id from pets'), [{ id: 7 }]);
  });

  it('takes over the server of a process that was killed', async () => {
    const { child, url } = await startElsewhere();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const taken = await start();
    assert.equal(taken.adopted, true);
    assert.equal(taken.url, url);
  });

  it('recovers acknowledged writes when the server was killed', async () => {
    const first = await start({});
    await query(first.url, 'create table pets as select 7 as id');
    process.kill((await serverPid()) ?? assert.fail(), 'SIGKILL');
    await first.stop();
    const second = await start();
    assert.equal(second.adopted, false);
    assert.deepEqual(await query(second.url, 'select id from pets'), [{ id: 7 }]);
  });

  it('starts when a crash left a pid that another program has now', async () => {
    await (await start()).stop();
    const lines = [process.pid, join(folder, 'data'), 1, 5432, '', '127.0.0.1', '0 0', 'ready'];
    await writeFile(join(folder, 'data/postmaster.pid'), `${lines.join('\n')}\n`);
    assert.equal((await start()).adopted, false);
  });

  it('starts the server in a process group of its own, out of reach of Ctrl-C', {
    skip: process.platform !== 'linux' && 'needs /proc',
  }, async () => {
    await start();
    const pid = await serverPid();
    const [, group] = /\) \S+ \d+ (\d+)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8')) ?? [];
    assert.equal(Number(group), pid);
  });

  it('reports a folder of another major version', async () => {
    await (await start()).stop();
    await writeFile(join(folder, 'data/PG_VERSION'), '17\n');
    await assert.rejects(start(), {
      name: 'StartError',
      message: /Postgres 17 made .* this is 18/,
    });
  });

  it('reports the error of a server that cannot start', async () => {
    await (await start()).stop();
    await writeFile(join(folder, 'data/postgresql.conf'), 'bogus = 1\n');
    await assert.rejects(start(), { name: 'StartError', message: /parameter "bogus"/ });
  });
});

describe('stop()', () => {
  beforeEach(() => copyCluster(folder));

  it('stops the server', async () => {
    const { stop } = await start();
    await stop();
    assert.equal(await serverPid(), undefined);
  });

  it('leaves the server running for another process, which stops it at its end', async () => {
    const other = await startElsewhere();
    const { stop } = await start();
    await stop();
    await query(other.url, 'select 1');
    other.child.kill('SIGTERM');
    await once(other.child, 'exit');
    assert.equal(await serverPid(), undefined);
  });

  it('leaves the server running for a process that uses its URL alone', async () => {
    const { url, stop } = await start();
    const client = postgres(url, { max: 1, connection: { application_name: 'kennel:other' } });
    await client`select 1`;
    await stop();
    assert.deepEqual([...(await client`select 1 as one`)], [{ one: 1 }]);
    await client.end({ timeout: 1 });
  });
});
