/**
 * The Unix socket of the embedded Postgres: which OS users it admits, and when there is no socket.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ServerSettings } from '../../src/embedded_postgres/cluster.ts';
import { type Embedded, startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { NotificationListener } from '../../src/postgres/notification_listener.ts';
import { parseSessionUrl } from '../../src/postgres/session_url.ts';
import { connectionLimits, listenerLimits } from '../support/connection.ts';
import { copyCluster, openFolder, testLimits, unsafeButFast } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

const asRoot = process.getuid?.() === 0;
const skip = !asRoot && 'needs root, to become another user';
const otherUser = 65_534;

describe('the socket of the embedded server', () => {
  let parent: string;
  let folder: string;
  let running: Embedded | undefined;

  before(async () => {
    parent = await openFolder();
    folder = join(parent, 'postgres');
    await copyCluster(folder);
  });

  afterEach(async () => {
    await running?.halt();
    running = undefined;
  });

  after(() => rm(parent, { recursive: true, force: true }));

  async function start(settings: ServerSettings = {}): Promise<Embedded> {
    running = await startEmbedded({
      folder,
      settings: { ...unsafeButFast, ...settings },
      limits: testLimits,
    });
    return running;
  }

  it('accepts connections and listeners although the URL requires TLS', async (t) => {
    const url = `${(await start()).localUrl}?sslmode=require`;
    const connection = await Connection.open(url, connectionLimits);
    t.after(() => connection.close());
    const [heard, listener] = listen(url);
    t.after(() => listener.close());
    await until(() => listener.connected);
    await connection.plain`select pg_notify('kennel', 'hello')`;
    await until(() => heard.includes('hello'));
    assert.deepEqual(await waysIn(connection), [{ by: null, connections: 2 }]);
  });

  it('requires the password', async () => {
    const { localUrl } = await start();
    const wrong = localUrl.replace(/:[0-9a-f]{64}@/, ':wrong@');
    const refused = await Connection.open(wrong, connectionLimits).catch(
      (error: Error) => error.cause,
    );
    assert.match(String(refused), /password authentication failed/);
  });

  it('and its folder have mode 0700', async () => {
    const path = pathOf(await start());
    for (const door of [folder, path]) assert.equal((await stat(door)).mode & 0o777, 0o700, door);
  });

  it('is unreachable for another user', { skip }, async () => {
    assert.equal(await reach(pathOf(await start()), otherUser), 'EACCES');
  });

  it('control: is reachable when both modes are opened', { skip }, async (t) => {
    const path = pathOf(await start());
    await chmod(folder, 0o755);
    t.after(() => chmod(folder, 0o700));
    assert.equal(await reach(path, otherUser), 'EACCES');
    await chmod(path, 0o777);
    assert.equal(await reach(path, otherUser), 'connect');
  });

  it('exists again after the server was killed and another program has its pid', async (t) => {
    const first = await start();
    const { localUrl, revive } = first;
    await kill();
    const { uid, gid } = await stat(folder);
    const other = spawn('sleep', ['60'], { uid, gid });
    t.after(() => other.kill());
    await writeFile(`${pathOf(first)}.lock`, `${other.pid}\n`);
    await until(() => revive().catch(() => false));
    (await Connection.open(localUrl, connectionLimits)).close();
  });

  it('replaces the sockets that killed servers left', async () => {
    const first = await start();
    await kill();
    await first.stop();
    const name = `.s.PGSQL.${new URL((await start()).localUrl).port}`;
    assert.deepEqual(await sockets(), [name, `${name}.lock`]);
  });

  it('is not used when the server was started without one', async () => {
    const { url, localUrl } = await start({ unix_socket_directories: '' });
    assert.equal(localUrl, url);
  });

  it('is replaced by TCP when it cannot be created', async (t) => {
    const embedded = await start();
    const { revive } = embedded;
    const path = pathOf(embedded);
    await kill();
    await rm(path);
    await mkdir(path);
    t.after(() => rm(path, { recursive: true }));
    await until(() => revive().catch(() => false));
    const { url, ...second } = await start();
    assert.deepEqual([second.adopted, second.localUrl], [true, url]);
  });

  it('is replaced by TCP when the data folder is a symbolic link', async () => {
    const [data, elsewhere] = [join(folder, 'data'), join(parent, 'data')];
    await rename(data, elsewhere);
    await symlink(elsewhere, data);
    const { url, localUrl } = await start();
    assert.equal(localUrl, url);
    (await Connection.open(localUrl, connectionLimits)).close();
  });

  it('is replaced by TCP when its path is too long for a socket', async () => {
    const long = join(parent, 'x'.repeat(100));
    await mkdir(long);
    await rename(folder, join(long, 'postgres'));
    folder = join(long, 'postgres');
    const { url, localUrl } = await start();
    assert.equal(localUrl, url);
    assert.deepEqual(await sockets(), []);
    (await Connection.open(localUrl, connectionLimits)).close();
  });

  async function kill(): Promise<void> {
    const { pid } = (await runningPostmaster(join(folder, 'data'))) ?? assert.fail();
    process.kill(pid, 'SIGKILL');
    await until(async () => (await runningPostmaster(join(folder, 'data'))) === null);
  }

  async function sockets(): Promise<string[]> {
    return (await readdir(folder)).filter((name) => name.startsWith('.s.PGSQL')).sort();
  }
});

function pathOf({ localUrl }: Embedded): string {
  const [host] = parseSessionUrl(localUrl).options.hosts;
  return host && 'path' in host ? host.path : assert.fail('it has none');
}

function listen(url: string): [string[], NotificationListener] {
  const heard: string[] = [];
  const onMessage = (message: string) => void heard.push(message);
  return [
    heard,
    new NotificationListener(url, 'kennel', { ...listenerLimits, onMessage, onGap: () => {} }),
  ];
}

function waysIn(connection: Connection): Promise<object[]> {
  return connection.plain`
    select client_addr as by, count(*) as connections
    from pg_stat_activity
    where application_name like 'kennel:%'
    group by client_addr`.then((rows) => rows.map((row) => ({ ...row })));
}

/**
 * Node connects to a socket at once, so it does so as the OS user that the process has at this
 * moment.
 */
async function reach(path: string, uid: number): Promise<string> {
  process.seteuid?.(uid);
  const socket = connect(path);
  process.seteuid?.(0);
  const refused = once(socket, 'error').then(([error]) => error.code);
  return Promise.race([refused, once(socket, 'connect').then(() => 'connect')]).finally(() =>
    socket.destroy(),
  );
}
