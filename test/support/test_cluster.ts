/** An embedded Postgres for tests, in a temporary folder. It keeps no data, so it need not sync. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type EmbeddedLimits,
  startEmbedded,
} from '../../src/embedded_postgres/embedded_postgres.ts';

export const testLimits: EmbeddedLimits = {
  createMs: 60_000,
  startMs: 60_000,
  stopSeconds: 2,
  connectSeconds: 30,
  statementMs: 30_000,
  pollMs: 50,
  maxConnections: 200,
  sharedBuffersMb: 128,
  logBytes: 1_000_000,
};

export const unsafeButFast = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' };

/**
 * A folder that every user of the machine may enter, for root starts its cluster as another user.
 */
export async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kennel-test-'));
  await chmod(folder, 0o755);
  return folder;
}

/**
 * Copies the cluster that `npm test` has made, if the tests run by it: initdb is the dearest part of a start. All
 * copies have one system identifier.
 *
 * @param folder of the new cluster, which does not exist.
 */
export async function copyCluster(folder: string): Promise<void> {
  const { TEST_CLUSTER: original } = process.env;
  if (original) await promisify(execFile)('cp', ['-a', original, folder]);
}

/**
 * A server of its own for tests that change one; of an older Postgres where `TEST_POSTGRES_PROGRAMS` says so.
 * It runs until `stop`, which ends all sessions and removes the folder.
 */
export async function startTestCluster({
  settings = unsafeButFast,
  isCopy = true,
}: {
  settings?: Readonly<Record<string, string>> | undefined;
  isCopy?: boolean;
} = {}): Promise<{ url: string; stop(): Promise<void> }> {
  const { TEST_POSTGRES_PROGRAMS: programs } = process.env;
  if (programs) return (await import('./debian_cluster.ts')).startDebianCluster(programs);
  const parent = await openFolder();
  const folder = join(parent, 'postgres');
  if (isCopy) await copyCluster(folder);
  const { url, halt } = await startEmbedded({ folder, settings, limits: testLimits });
  const stop = async () => {
    await halt();
    await rm(parent, { recursive: true, force: true });
  };
  return { url, stop };
}
