/** Databases that cannot work are refused at the start, in one line, before any object is created. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { pinnedSettings } from '../../src/postgres/session_settings.ts';
import { onboard } from '../support/client.ts';
import { adminToken, runKennel, startKennel } from '../support/kennel.ts';
import { canConnect, freePort } from '../support/programs.ts';
import { lookInto } from '../support/sql.ts';
import { openFolder, startTestCluster } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

let cluster: Awaited<ReturnType<typeof startTestCluster>>;
before(async () => {
  cluster = await startTestCluster();
});
after(() => cluster.stop());

/** The exit code and the one line of a server that does not start. */
async function refusal(url: string): Promise<string> {
  const { code, stdout, stderr } = await runKennel({ DATABASE_URL: url, ADMIN_TOKEN: adminToken });
  assert.doesNotMatch(stdout, /"msg":"listening"/);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  return `${code} ${stderr.trimEnd()}`;
}

function inDatabase(name: string): string {
  const url = new URL(cluster.url);
  url.pathname = name;
  return url.href;
}

async function asSuperuser(...texts: string[]): Promise<void> {
  await lookInto(cluster.url, async (sql) => {
    for (const text of texts) await sql.unsafe(text);
  });
}

describe('a start', () => {
  for (const name of ['postgres', 'template0', 'template1']) {
    it(`refuses the database ${name}, which belongs to Postgres`, async () => {
      assert.match(
        await refusal(inDatabase(name)),
        new RegExp(
          `^78 kennel: Cannot use DATABASE_URL: expected .* "${name}" belongs to the server`,
        ),
      );
    });
  }

  for (const encoding of ['SQL_ASCII', 'LATIN1']) {
    it(`refuses a database of ${encoding}, and creates nothing in it`, async () => {
      const name = `kennel_${encoding.toLowerCase()}`;
      await asSuperuser(
        `create database ${name} encoding '${encoding}' locale 'C' template template0`,
      );
      assert.match(
        await refusal(inDatabase(name)),
        new RegExp(`^1 kennel: .*encoding ${encoding}, and Kennel needs UTF8`),
      );
      const rows = await lookInto(
        inDatabase(name),
        (sql) => sql`select from pg_namespace where nspname = 'control'`,
      );
      assert.equal(rows.length, 0);
    });
  }

  it('names a file that was edited after it had been applied', async () => {
    await asSuperuser('create database kennel_foreign');
    await (await startKennel(inDatabase('kennel_foreign'))).stop();
    await lookInto(
      inDatabase('kennel_foreign'),
      (sql) => sql`update control.migrations set checksum = 'another' where version = 1`,
    );
    const expected =
      'Cannot use this database: "001_registry.sql" was edited after it had been applied';
    assert.match(await refusal(inDatabase('kennel_foreign')), new RegExp(`^1 kennel: ${expected}`));
  });

  it('names the login that pg_hba.conf rejects', async () => {
    await asSuperuser('create database kennel_closed');
    await (await startKennel(inDatabase('kennel_closed'))).stop();
    const hba = await hbaFile();
    const open = await readFile(hba, 'utf8');
    await writeFile(hba, `host all kennel_closed_serve all reject\n${open}`);
    await asSuperuser('select pg_reload_conf()', 'select pg_sleep(0.2)');
    const told = await refusal(inDatabase('kennel_closed'));
    await writeFile(hba, open);
    await asSuperuser('select pg_reload_conf()', 'select pg_sleep(0.2)');
    assert.match(told, /^1 kennel: Cannot serve: .* login "kennel_closed_serve": .*pg_hba/);
    await (await startKennel(inDatabase('kennel_closed'))).stop();
  });
});

describe("a tenant's own database", () => {
  it('has the encoding of the main one, not that of the templates', async () => {
    await asSuperuser(
      "create database kennel_words encoding 'UTF8' locale 'C' template template0",
      `update pg_database set encoding = 0 where datname in ('template0', 'template1')`,
    );
    const kennel = await startKennel(inDatabase('kennel_words'));
    try {
      const { call } = await onboard(kennel, 'words', { isolation: 'database' });
      const name = '犬'.repeat(60);
      const pet = await call('POST /api/pets', { name, species: 'dog' });
      assert.deepEqual([pet.status, pet.body.name], [201, name]);
    } finally {
      await kennel.stop();
      await asSuperuser(
        `update pg_database set encoding = pg_char_to_encoding('UTF8')
         where datname in ('template0', 'template1')`,
      );
    }
  });
});

async function hbaFile(): Promise<string> {
  const [row] = await lookInto(
    cluster.url,
    (sql) => sql<{ file: string }[]>`select current_setting('hba_file') as file`,
  );
  assert.ok(row);
  return row.file;
}

const hasBouncer = await promisify(execFile)('pgbouncer', ['--version']).then(
  () => true,
  () => false,
);
const mayLack = process.env.CI !== 'true';

describe('a pooler in session mode', {
  skip: !hasBouncer && mayLack && 'pgbouncer is not on the PATH',
}, () => {
  it('is refused when it drops the settings of sessions', async () => {
    const dropped = pinnedSettings().join(', ');
    await throughBouncer(`ignore_startup_parameters = ${dropped}`, async (url) => {
      assert.match(await refusal(url), /^1 kennel: .*a pooler in between drops them/);
    });
  });

  it('is refused with its own message when it accepts no settings', async () => {
    await throughBouncer('', async (url) => {
      assert.match(await refusal(url), /^1 kennel: .*unsupported startup parameter/);
    });
  });
});

async function throughBouncer(line: string, work: (url: string) => Promise<void>): Promise<void> {
  const folder = await openFolder();
  const port = await freePort();
  const { hostname, port: behind, username, password } = new URL(cluster.url);
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]
kennel = host=${hostname} port=${behind} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
${line}
`,
  );
  // Postgres refuses to run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const bouncer = spawn('pgbouncer', [...user, file], { stdio: 'ignore' });
  const ended = once(bouncer, 'exit');
  try {
    await until(() => canConnect(port));
    await work(`postgres://${username}@127.0.0.1:${port}/kennel`);
  } finally {
    bouncer.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}
