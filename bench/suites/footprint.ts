/** What stays when many tenants have been served: connections, and the memory behind each of them. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import { connect } from '../cluster.ts';
import { privateBytesOf } from '../cpu.ts';
import type { Lab } from '../lab.ts';
import { conditions, limits } from '../limits.ts';
import { drawRequests } from '../operations.ts';
import type { BackendMemory } from '../result.ts';
import type { Subject } from '../systems_under_test.ts';
import { kennelOf, stopAll } from './servers.ts';

/** So many requests for each tenant and connection, that nearly each has met nearly all. */
const meetings = 2;

/** Of database mode: a connection meets but one tenant, and most of them give way to others. */
const visits = 4;

export async function lookAtBackends(lab: Lab): Promise<BackendMemory[]> {
  const results: BackendMemory[] = [];
  for (const mode of ['shared', 'schema', 'database'] as const) {
    const counts = mode === 'database' ? lab.options.databases : lab.options.tenants;
    for (const tenants of counts) {
      lab.progress.phase(`backends of mode ${mode} after ${tenants} tenants`);
      const subject = await kennelOf(lab, mode);
      await serveAll(lab, subject, tenants);
      results.push({ mode, tenants, ...(await backendsOf(lab, mode, subject.server.pid)) });
      await stopAll([subject]);
    }
  }
  return results;
}

/** Requests that are refused do not matter here: what is looked at is what the others leave. */
async function serveAll({ load, rounds }: Lab, subject: Subject, tenants: number): Promise<void> {
  const { url } = subject.server;
  const { connections, pool } = conditions;
  const workload = { operation: 'read', spread: 'uniform', tenants } as const;
  let left = subject.name === 'database' ? visits * tenants : meetings * pool * tenants;
  while (left > 0) {
    const requests = drawRequests(subject, workload, rounds.chance).slice(0, left);
    await load.run({ kind: 'sweep', url, connections, timeoutMs: limits.requestMs, requests });
    left -= requests.length;
  }
}

/** Backends of tenants: the process's other connections log in as somebody else. */
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
