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

/** @param programs the folder of `initdb` and `pg_ctl`. */
export async function startDebianCluster(programs: string): Promise<DebianCluster> {
  const folder = await openFolder();
  const owner = process.getuid?.() === 0 ? await postgresUser() : null;
  if (owner) await chown(folder, owner.uid, owner.gid);
  const [data, log] = [join(folder, 'data'), join(folder, 'log')];
  const run = (name: string, ...args: string[]) =>
    promisify(execFile)(join(programs, name), args, { ...owner, cwd: '/' });
  const [password, port] = [join(folder, 'password'), await freePort()];
  await writeFile(password, secret, { mode: 0o644 });
  const access = ['-U', 'kennel', '-A', 'scram-sha-256', '--pwfile', password];
  await run('initdb', '-D', data, ...access, '-E', 'UTF8', '--locale', 'C');
  const options = `-p ${port} ${settings.map((setting) => `-c ${setting}`).join(' ')}`;
  const control = (...args: string[]) => run('pg_ctl', '-D', data, '-w', ...args);
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

const secret = 'secret';

/** The doctor has nothing to find with these, as on the embedded server. */
const settings = [
  'unix_socket_directories=',
  'fsync=off',
  'max_connections=200',
  'log_min_messages=log',
  'log_min_error_statement=log',
];

/** The one that Debian's package makes: Postgres refuses to run as root. */
async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}
