/** Counts connections and measures the memory of their backends, after many tenants were served. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import { connect } from '../cluster.ts';
import { privateBytesOf } from '../cpu.ts';
import type { Lab } from '../lab.ts';
import { conditions, limits } from '../limits.ts';
import { drawRequests } from '../operations.ts';
import type { BackendMemory } from '../result.ts';
import type { SystemUnderTest } from '../systems_under_test.ts';
import { kennelOf, stopAll } from './servers.ts';

/** Requests for each tenant and connection: nearly each connection serves nearly every tenant. */
const requestsPerPair = 2;

/** Requests for each tenant in database mode, where a connection serves one tenant only. */
const requestsPerTenant = 4;

export async function lookAtBackends(lab: Lab): Promise<BackendMemory[]> {
  const results: BackendMemory[] = [];
  for (const mode of ['shared', 'schema', 'database'] as const) {
    const counts = mode === 'database' ? lab.options.databases : lab.options.tenants;
    for (const tenants of counts) {
      lab.progress.phase(`backends of mode ${mode} after ${tenants} tenants`);
      const system = await kennelOf(lab, mode);
      await serveAll(lab, system, tenants);
      results.push({ mode, tenants, ...(await backendsOf(lab, mode, system.server.pid)) });
      await stopAll([system]);
    }
  }
  return results;
}

/** Refused requests do not matter here. */
async function serveAll(
  { load, rounds }: Lab,
  system: SystemUnderTest,
  tenants: number,
): Promise<void> {
  const { url } = system.server;
  const { connections, pool } = conditions;
  const workload = { operation: 'read', spread: 'uniform', tenants } as const;
  let left =
    system.name === 'database' ? requestsPerTenant * tenants : requestsPerPair * pool * tenants;
  while (left > 0) {
    const requests = drawRequests(system, workload, rounds.random).slice(0, left);
    await load.run({ kind: 'sweep', url, connections, timeoutMs: limits.requestMs, requests });
    left -= requests.length;
  }
}

/** Counts the backends of tenants. The process's other connections have other logins. */
async function backendsOf({ cluster, services }: Lab, mode: IsolationModeName, pid: number) {
  const { serve } = services.fleet.installation.roles;
  const admin = connect(cluster.url);
  try {
    const backends = await admin<{ pid: number }[]>`
      select pid
      from pg_stat_activity
      where application_name = ${`kennel:${pid}`}
        and (usename = ${serve} or (${mode === 'database'} and datname <> current_database()))`;
    const bytes = backends.flatMap((backend) => privateBytesOf(backend.pid) ?? []);
    const seen = cluster.postmaster !== null && bytes.length > 0;
    const bytesPerBackend = seen ? bytes.reduce((sum, one) => sum + one, 0) / bytes.length : null;
    return { connections: backends.length, bytesPerBackend };
  } finally {
    await admin.end({ timeout: 1 });
  }
}
