/** Whose the embedded Postgres is when root starts it, and what its superuser may read of the machine. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Embedded, startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { runningPostmaster } from '../../src/postgres/embedded/postmaster.ts';
import { lookInto } from '../support/sql.ts';
import { testBounds, unsafeButFast } from '../support/test_cluster.ts';

const shell = promisify(execFile);

const canHaveView =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  (await shell('unshare', ['--mount', 'true']).then(
    () => true,
    () => false,
  ));

describe('the embedded Postgres of root, in a folder that is closed to others', {
  skip: !canHaveView && 'needs root and mount namespaces',
}, () => {
  let closed: string;
  let secret: string;
  let embedded: Embedded;

  before(async () => {
    closed = await mkdtemp(join(tmpdir(), 'kennel-closed-'));
    secret = join(closed, 'secret');
    await writeFile(secret, 'dear', { mode: 0o600 });
    embedded = await startEmbedded({
      folder: join(closed, 'data/postgres'),
      settings: unsafeButFast,
      bounds: testBounds,
    });
  });

  after(async () => {
    await embedded.halt();
    await rm(closed, { recursive: true });
  });

  it("has a superuser that reads nobody's files", async () => {
    assert.equal(embedded.warning, null);
    for (const path of [secret, '/etc/shadow']) {
      await lookInto(embedded.url, (sql) =>
        assert.rejects(sql`select pg_read_file(${path})`, /Permission denied|No such file/),
      );
    }
  });

  it('control: the right to pass closed folders is the right to read such a file', async () => {
    const { uid, gid } = await stat(join(closed, 'data/postgres'));
    const capable = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
    const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    const { stdout } = await shell('setpriv', [...user, ...capable, 'cat', secret]);
    assert.equal(stdout, 'dear');
    await assert.rejects(shell('setpriv', [...user, 'cat', secret]), /Permission denied/);
  });

  it('runs as a user that the machine does not have, without any capability', async () => {
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
});
