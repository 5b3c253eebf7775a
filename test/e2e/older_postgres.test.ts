/**
 * The tests that depend on a server's own rules (settings, URLs, migrations, databases that cannot
 * work) on the oldest Postgres that Debian's packages have installed; the other tests run on the
 * embedded one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { nodeScript } from '../../bench/node_script.ts';
import { createDatabase } from '../support/database.ts';
import {
  type DebianCluster,
  makeDebianData,
  startDebianCluster,
} from '../support/debian_cluster.ts';
import { adminToken, runKennel } from '../support/kennel.ts';
import { reportMissing } from '../support/programs.ts';

const suites = [
  'control_plane/migrations/migrate',
  'control_plane/doctor/fresh',
  'control_plane/doctor/sessions',
  'control_plane/provisioning/planner_statistics',
  'control_plane/provisioning/table_locks',
  'control_plane/provisioning/tenant_tables',
  'e2e/hostile_settings',
  'control_plane/provisioning/tenant_data',
  'e2e/migrating_beside',
  'e2e/unusable_databases',
  'isolation/shared',
  'postgres/session_settings',
];

/** Debian names the folders by major version. */
const packages = '/usr/lib/postgresql';
const newest = 18;

const run = promisify(execFile);
const majors = (await readdir(packages).catch(() => [])).map(Number);
const [oldest] = majors.filter((major) => major < newest).sort((a, b) => a - b);

if (oldest === undefined) reportMissing('Kennel on an older Postgres', 'needs its Debian package');
else describe(`Kennel on Postgres ${oldest}`, () => onOlder(join(packages, `${oldest}`, 'bin')));

function onOlder(programs: string): void {
  let cluster: DebianCluster;
  before(async () => {
    // For this cluster and those of the suites.
    process.env.TEST_DEBIAN_DATA = await makeDebianData(programs);
    cluster = await startDebianCluster(programs);
  });
  after(async () => {
    await cluster.stop();
    await rm(dirname(process.env.TEST_DEBIAN_DATA ?? ''), { recursive: true });
  });

  for (const suite of suites) {
    it(`passes ${suite}`, async () => {
      const args = ['--test-reporter=tap', ...nodeScript(`test/${suite}.test.ts`)];
      const server = { TEST_DATABASE_URL: cluster.url, TEST_POSTGRES_PROGRAMS: programs };
      const env = { ...process.env, ...server };
      const { stdout } = await run(process.execPath, args, { env }).catch((error) =>
        assert.fail(error.stdout.split('\n').filter(isFailure).join('\n') || error.message),
      );
      assert.match(stdout, /^# fail 0$/m);
      assert.doesNotMatch(stdout, /^# pass 0$/m);
    });
  }

  it('refuses a hot standby in one line', async () => {
    const database = await createDatabase(cluster.url);
    await cluster.restartAsStandby();
    const { code, stderr } = await runKennel({
      DATABASE_URL: database.url,
      ADMIN_TOKEN: adminToken,
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^kennel: Cannot use this Postgres: it is a standby, [^\n]+ primary\n$/);
  });
}

const isFailure = (line: string) => /^\s*(not ok|error:|failureType:)/.test(line);
