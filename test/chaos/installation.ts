/** The processes of a run: two servers of Postgres, and one of Kennel that uses both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/config.ts';
import { addServer } from '../../src/control_plane/servers/add_server.ts';
import { openServices } from '../../src/services.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import type { PrivateRedis } from '../support/redis.ts';
import { openProxy, type ServerProxy } from '../support/second_server.ts';
import { type ChaosCluster, startChaosCluster } from './cluster.ts';
import { secondServer } from './whereabouts.ts';

export type ChaosInstallation = {
  cluster: ChaosCluster;
  /** The server that is added, and the port by which it is reached. */
  second: { cluster: ChaosCluster; proxy: ServerProxy };
  server: Kennel;
  /** For archives. */
  folder: string;
  stop(): Promise<void>;
};

export async function startInstallation(redis: PrivateRedis | null): Promise<ChaosInstallation> {
  const [cluster, added] = await Promise.all([
    startChaosCluster(),
    startChaosCluster({ isCopy: false }),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'kennel-chaos-'));
  const proxy = await openProxy(added.url);
  const stopAll = async () => {
    await proxy.cutOff();
    await Promise.all([cluster.stop(), added.stop(), rm(folder, { recursive: true })]);
  };
  const server = await startOn(cluster.url, proxy.url, redis).catch(async (error: unknown) => {
    await stopAll();
    throw error;
  });
  const stop = async () => {
    server.signal('SIGCONT');
    await server.stop();
    await stopAll();
  };
  return { cluster, second: { cluster: added, proxy }, server, folder, stop };
}

async function startOn(url: string, second: string, redis: PrivateRedis | null): Promise<Kennel> {
  const services = await openServices(readConfig({ DATABASE_URL: url }), url);
  try {
    await addServer(services.fleet, { name: secondServer, url: second });
  } finally {
    services.close();
  }
  return startKennel(url, { LOG_LEVEL: 'warn', ...(redis && { REDIS_URL: redis.url }) });
}
