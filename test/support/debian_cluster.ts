/** A Postgres of Debian's packages for tests, in a temporary folder. It forgets everything, so it need not sync. */
import { execFile } from 'node:child_process';
import { chown, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './programs.ts';
import { lookInto } from './sql.ts';
import { openFolder } from './test_cluster.ts';

export type DebianCluster = {
  /** The superuser's, of the database `kennel`. */
  url: string;
  stop(): Promise<void>;
  /** Starts the server again as a hot standby. */
  restartAsStandby(): Promise<void>;
};

/**
 * Makes the data of a cluster, which `startDebianCluster` copies where `TEST_DEBIAN_DATA` names it: initdb
 * takes most of the time of a start.
 */
export async function makeDebianData(programs: string): Promise<string> {
  const folder = await openFolder();
  const owner = await giveToOwner(folder);
  await initialize(programs, folder, owner);
  return join(folder, 'data');
}

/** @param programs the folder of `initdb` and `pg_ctl`. */
export async function startDebianCluster(programs: string): Promise<DebianCluster> {
  const folder = await openFolder();
  const owner = await giveToOwner(folder);
  const [data, log, port] = [join(folder, 'data'), join(folder, 'log'), await freePort()];
  const { TEST_DEBIAN_DATA: original } = process.env;
  if (original) await run('cp', ['-a', original, data], owner);
  else await initialize(programs, folder, owner);
  const options = `-p ${port} ${settings.map((setting) => `-c ${setting}`).join(' ')}`;
  const control = (...args: string[]) =>
    run(join(programs, 'pg_ctl'), ['-D', data, '-w', ...args], owner);
  await control('-l', log, '-o', options, 'start');
  const urlOf = (database: string) => `postgres://kennel:${secret}@127.0.0.1:${port}/${database}`;
  await lookInto(urlOf('postgres'), async (sql) => {
    await sql`create database kennel`;
    for (const name of ['postgres', 'template1']) {
      await sql`revoke connect on database ${sql(name)} from public`;
    }
  });
  return {
    url: urlOf('kennel'),
    stop: async () => {
      await control('-m', 'immediate', 'stop');
      await rm(folder, { recursive: true, force: true });
    },
    restartAsStandby: async () => {
      await control('-m', 'fast', 'stop');
      await writeFile(join(data, 'standby.signal'), '');
      await control('-l', log, '-o', options, 'start');
    },
  };
}

async function initialize(programs: string, folder: string, owner: Owner): Promise<void> {
  const password = join(folder, 'password');
  await writeFile(password, secret, { mode: 0o644 });
  const access = ['-U', 'kennel', '-A', 'scram-sha-256', '--pwfile', password];
  const args = ['-D', join(folder, 'data'), ...access, '-E', 'UTF8', '--locale', 'C'];
  await run(join(programs, 'initdb'), args, owner);
}

const run = promisify(execFile);

const secret = 'secret';

/** The doctor has nothing to find with these, as on the embedded server. */
const settings = [
  'unix_socket_directories=',
  'fsync=off',
  'max_connections=200',
  'log_min_messages=log',
  'log_min_error_statement=log',
];

/** How its programs are started: Postgres refuses to run as root. */
type Owner = { uid?: number; gid?: number; cwd: string };

/** Root gives the folder to the user that Debian's package makes. */
async function giveToOwner(folder: string): Promise<Owner> {
  if (process.getuid?.() !== 0) return { cwd: '/' };
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? [];
  const owner = { uid: Number(uid), gid: Number(gid) };
  await chown(folder, owner.uid, owner.gid);
  return { ...owner, cwd: '/' };
}
