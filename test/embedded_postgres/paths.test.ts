/** The user's shell and the folder's name must have no effect on the embedded Postgres. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { binariesFor } from '../../src/embedded_postgres/binaries.ts';
import { firstLine } from '../support/first_line.ts';
import { lookInto } from '../support/sql.ts';
import { openFolder } from '../support/test_cluster.ts';

/** All characters that a shell interprets. */
const name = 'a b$HOME`touch ran`$(touch ran)"\'\\;&|*?~#%20 é';

/** Meant for another server, in the shell of the user. */
const variables = {
  PGHOST: '203.0.113.1',
  PGPORT: '1',
  PGUSER: 'stranger',
  PGDATABASE: 'elsewhere',
  PGOPTIONS: '-c search_path=elsewhere',
  PGSERVICE: 'elsewhere',
  PGDATA: '/nowhere',
  PGSSL: 'require',
  PGSSLMODE: 'verify-full',
  PGTARGETSESSIONATTRS: 'standby',
  PGIDLE_TIMEOUT: '1',
};

describe('startEmbedded() in a folder whose name holds shell syntax', () => {
  let parent: string;

  before(async () => {
    parent = await openFolder();
    await mkdir(join(parent, name), { mode: 0o755 });
  });
  after(() => rm(parent, { recursive: true, force: true }));

  it("starts and stops, although the user's variables name another server", async () => {
    const script = nodeScript('test/support/embedded_process.ts');
    const folder = join(parent, name, 'postgres');
    const child = spawn(process.execPath, [...script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...variables },
    });
    const ended = once(child, 'close');
    const { url }: { url: string } = JSON.parse(await firstLine(child));
    const [row] = await lookInto(url, (sql) => sql`select current_setting('data_directory') as at`);
    assert.equal(row?.at, join(folder, 'data'));
    child.kill('SIGTERM');
    await ended;
    assert.deepEqual((await readdir(join(parent, name))).sort(), ['database-url', 'postgres']);
    assert.ok(!(await readdir(join(folder, 'data'))).includes('postmaster.pid'));
    for (const path of ['/', process.cwd(), folder, join(folder, 'data')]) {
      assert.ok(!(await readdir(path)).includes('ran'), path);
    }
  });

  it('control: pg_ctl passes a path to a shell', async () => {
    const { pgCtl } = await binariesFor(`${process.platform}-${process.arch}`);
    const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const folder = await openFolder();
    await writeFile(join(folder, 'PG_VERSION'), '18\n');
    const log = join(folder, '$(echo ran >&2; kill -9 $$)');
    const args = ['start', '-W', '-D', folder, '-l', log];
    const output = await new Promise<string>((resolve) => {
      execFile(pgCtl, args, { ...nobody, cwd: '/' }, (_, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
    await rm(folder, { recursive: true });
    assert.match(output, /^ran$/m);
  });
});
