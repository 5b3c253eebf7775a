/** Starts the servers of the lab. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { Lab } from '../lab.ts';
import { conditions } from '../limits.ts';
import { Client } from '../load/client.ts';
import type { LoadTenant } from '../provision.ts';
import {
  baselineHeaders,
  type KennelOptions,
  kennelHeaders,
  kennelVariables,
  type SystemUnderTest,
  startKennel,
} from '../systems_under_test.ts';

export function kennelOptions({ cluster, folder }: Lab): KennelOptions {
  return { databaseUrl: cluster.url, folder, pool: conditions.pool };
}

/** Kennel with the tenants of one mode. */
export async function kennelOf(lab: Lab, mode: IsolationModeName): Promise<SystemUnderTest> {
  const server = await startKennel(lab.children, `kennel ${mode}`, kennelOptions(lab));
  return kennelSystem(mode, server, lab.loadTenants[mode]);
}

export function kennelSystem(
  name: string,
  server: SystemUnderTest['server'],
  loadTenants: readonly LoadTenant[],
): SystemUnderTest {
  return { name, server, loadTenants, headersOf: kennelHeaders };
}

/** `node:http`, with exactly the bytes of Kennel's reply to `GET /api/me`. */
export async function bareBeside(lab: Lab, kennel: SystemUnderTest): Promise<SystemUnderTest> {
  const loadTenants = kennel.loadTenants.slice(0, 1);
  const [tenant] = loadTenants;
  if (!tenant) throw new Error('Cannot start the bare baseline: Kennel has no tenant to copy');
  const client = new Client(kennel.server.url, 10_000);
  const headers = kennel.headersOf(tenant);
  const { text } = await client.send({ method: 'GET', path: '/api/me', headers });
  client.close();
  const server = await lab.children.serve('bare', ['bench/baselines/bare_process.ts', text], {});
  return { name: 'bare', server, loadTenants, headersOf: kennel.headersOf };
}

export async function baseline(
  lab: Lab,
  name: 'untenanted' | 'textbook',
): Promise<SystemUnderTest> {
  const script = [`bench/baselines/${name}_process.ts`, lab.baselineUrl, `${conditions.pool}`];
  const server = await lab.children.serve(name, script, {});
  const loadTenants = lab.loadTenants.shared.slice(0, conditions.tenants);
  return { name, server, loadTenants, headersOf: baselineHeaders };
}

/** A server of `bench/labs/` with the tenants of shared mode. */
export async function labServer(
  lab: Lab,
  name: string,
  script: string[],
): Promise<SystemUnderTest> {
  const variables = kennelVariables(kennelOptions(lab));
  const server = await lab.children.serve(name, script, variables);
  return kennelSystem(name, server, lab.loadTenants.shared.slice(0, conditions.tenants));
}

export async function stopAll(systems: Iterable<SystemUnderTest>): Promise<void> {
  await Promise.all([...systems].map(({ server }) => server.stop()));
}
