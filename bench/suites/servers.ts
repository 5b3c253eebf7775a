/** The servers of the lab, each ready to be measured. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { Lab } from '../lab.ts';
import { conditions } from '../limits.ts';
import { Client } from '../load/client.ts';
import type { Member } from '../provision.ts';
import {
  baselineHeaders,
  type KennelOptions,
  kennelHeaders,
  kennelVariables,
  type Subject,
  startKennel,
} from '../systems_under_test.ts';

export function kennelOptions({ cluster, folder }: Lab): KennelOptions {
  return { databaseUrl: cluster.url, folder, pool: conditions.pool };
}

/** Kennel with the tenants of one mode. */
export async function kennelOf(lab: Lab, mode: IsolationModeName): Promise<Subject> {
  const server = await startKennel(lab.children, `kennel ${mode}`, kennelOptions(lab));
  return kennelSubject(mode, server, lab.members[mode]);
}

export function kennelSubject(
  name: string,
  server: Subject['server'],
  members: readonly Member[],
): Subject {
  return { name, server, members, headersOf: kennelHeaders };
}

/** `node:http` and the very bytes that Kennel answers to `GET /api/me`. */
export async function bareBeside(lab: Lab, kennel: Subject): Promise<Subject> {
  const members = kennel.members.slice(0, 1);
  const [member] = members;
  if (!member) throw new Error('Cannot start the bare baseline: Kennel has no tenant to copy');
  const client = new Client(kennel.server.url, 10_000);
  const headers = kennel.headersOf(member);
  const { text } = await client.send({ method: 'GET', path: '/api/me', headers });
  client.close();
  const server = await lab.children.serve('bare', ['bench/baselines/bare_process.ts', text], {});
  return { name: 'bare', server, members, headersOf: kennel.headersOf };
}

export async function baseline(lab: Lab, name: 'untenanted' | 'textbook'): Promise<Subject> {
  const script = [`bench/baselines/${name}_process.ts`, lab.baselineUrl, `${conditions.pool}`];
  const server = await lab.children.serve(name, script, {});
  const members = lab.members.shared.slice(0, conditions.tenants);
  return { name, server, members, headersOf: baselineHeaders };
}

/** A server of `bench/labs/` with the tenants of shared mode. */
export async function labServer(lab: Lab, name: string, script: string[]): Promise<Subject> {
  const variables = kennelVariables(kennelOptions(lab));
  const server = await lab.children.serve(name, script, variables);
  return kennelSubject(name, server, lab.members.shared.slice(0, conditions.tenants));
}

export async function stopAll(subjects: Iterable<Subject>): Promise<void> {
  await Promise.all([...subjects].map(({ server }) => server.stop()));
}
