/**
 * A fresh database for a test. `npm test` provides one server for all files; a file that is run
 * alone starts its own.
 */
import { after } from 'node:test';
import { createDatabase, type TestDatabase } from './database.ts';
import { startTestCluster } from './test_cluster.ts';

export type { TestDatabase } from './database.ts';

let ownCluster: ReturnType<typeof startTestCluster> | undefined;

after(async () => (await ownCluster)?.stop());

/** The superuser's URL of the server that the tests of this file may use. */
export async function serverUrl(): Promise<string> {
  if (process.env.TEST_DATABASE_URL) return process.env.TEST_DATABASE_URL;
  ownCluster ??= startTestCluster();
  return (await ownCluster).url;
}

/** An empty database with a name of its own. */
export async function testDatabase(): Promise<TestDatabase> {
  const { url, drop } = await createDatabase(await serverUrl());
  // A server of this process is removed as a whole, and may be gone before the file's last hook.
  return { url, drop: async () => (ownCluster ? undefined : drop()) };
}

/** The session URL whose sessions use schema `public`, while others have no default schema. */
export function inPublic({ url }: { url: string }): string {
  return `${url}${url.includes('?') ? '&' : '?'}search_path=public`;
}
