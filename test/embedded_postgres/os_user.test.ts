/**
 * The OS user that runs the embedded Postgres when root starts it, and the files that its superuser
 * may read.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { nodeScript } from '../../bench/node_script.ts';
import { type Embedded, startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { firstLine } from '../support/first_line.ts';
import { lookInto } from '../support/sql.ts';
import { testLimits, unsafeButFast } from '../support/test_cluster.ts';

const shell = promisify(execFile);

const canHaveView =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  (await shell('unshare', ['--mount', 'true']).then(
    () => true,
    () => false,
  ));

describe('the embedded Postgres of root, in a folder closed to other users', {
  skip: !canHaveView && 'needs root and mount namespaces',
}, () => {
  let closed: string;
  let secret: string;
  let embedded: Embedded;

  before(async () => {
    closed = await mkdtemp(join(tmpdir(), 'kennel closed-'));
    secret = join(closed, 'secret');
    await writeFile(secret, 'dear', { mode: 0o600 });
    embedded = await startEmbedded({
      folder: join(closed, 'data/postgres'),
      settings: unsafeButFast,
      limits: testLimits,
    });
  });

  after(async () => {
    await embedded.halt();
    await rm(closed, { recursive: true });
  });

  it('does not let its superuser read files of the machine', async () => {
    assert.equal(embedded.warning, null);
    for (const path of [secret, '/etc/shadow']) {
      await lookInto(embedded.url, (sql) =>
        assert.rejects(sql`select pg_read_file(${path})`, /Permission denied|No such file/),
      );
    }
  });

  it('control: a process with the capability dac_read_search can read such a file', async () => {
    const { uid, gid } = await stat(join(closed, 'data/postgres'));
    const capable = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
    const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    const { stdout } = await shell('setpriv', [...user, ...capable, 'cat', secret]);
    assert.equal(stdout, 'dear');
    await assert.rejects(shell('setpriv', [...user, 'cat', secret]), /Permission denied/);
  });

  it('runs as a user that does not exist otherwise, without any capability', async () => {
    const { pid } = (await runningPostmaster(join(closed, 'data/postgres/data'))) ?? assert.fail();
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const [, uid = ''] = /^Uid:\s+(\d+)/m.exec(status) ?? [];
    assert.ok(Number(uid) >= 0x7000_0000);
    assert.match(status, /^CapEff:\s+0+$/m);
    const users = (await readFile('/etc/passwd', 'utf8'))
      .split('\n')
      .map((line) => line.split(':')[2]);
    assert.ok(!users.includes(uid));
  });

  it('survives a killed process, and is taken over by the next one', async () => {
    const folder = join(closed, 'left/postgres');
    const first = await begin([], folder);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await begin([], folder);
    assert.deepEqual([second.report.adopted, second.report.url], [true, first.report.url]);
    await ended(second.child);
    assert.equal(await runningPostmaster(join(folder, 'data')), null);
  });

  it('warns when it cannot have its own mount namespace, and has one again when it can', async () => {
    const folder = join(closed, 'other/postgres');
    const without = await begin(['setpriv', '--bounding-set=-sys_admin'], folder);
    assert.match(without.report.warning ?? '', /^The embedded Postgres may read every file .+$/);
    await ended(without.child);
    const withView = await begin([], folder);
    assert.deepEqual([withView.report.adopted, withView.report.warning], [false, null]);
    await ended(withView.child);
  });
});

type StartReport = { url: string; adopted: boolean; warning: string | null };

/** Starts the embedded Postgres in its own process, which `prefix` may take rights from. */
async function begin(prefix: readonly string[], folder: string) {
  const script = nodeScript('test/support/embedded_process.ts');
  const [program = '', ...args] = [...prefix, process.execPath, ...script, folder];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const report: StartReport = JSON.parse(await firstLine(child));
  return { child, report };
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
}
