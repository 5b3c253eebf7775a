/**
 * Times the first and the second request of a tenant that is in no cache of the process. The process has
 * served another tenant before. Requests are sent one at a time.
 */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { Lab } from '../lab.ts';
import { limits } from '../limits.ts';
import { Client } from '../load/client.ts';
import type { LoadTenant } from '../provision.ts';
import type { ColdStart } from '../result.ts';
import { percentileOf } from '../statistics.ts';
import type { SystemUnderTest } from '../systems_under_test.ts';
import { kennelOf, stopAll } from './servers.ts';

/** The maximum number of tenants that are timed. */
const maxTenants = 100;

/** Requests that warm the process up, of a tenant that is not timed. */
const warmups = 300;

export async function timeColdStarts(lab: Lab): Promise<ColdStart[]> {
  const results: ColdStart[] = [];
  for (const mode of ['shared', 'schema', 'database'] as const) {
    // One tenant warms the process up, so at least two are needed.
    if (lab.loadTenants[mode].length < 2) continue;
    lab.progress.phase(`cold tenants of mode ${mode}`);
    const system = await kennelOf(lab, mode);
    results.push(await coldStart(mode, system));
    await stopAll([system]);
  }
  return results;
}

async function coldStart(mode: IsolationModeName, system: SystemUnderTest): Promise<ColdStart> {
  const [known, ...others] = system.loadTenants;
  const cold = others.slice(0, maxTenants);
  const client = new Client(system.server.url, limits.requestMs);
  const timeOf = (tenant: LoadTenant | undefined) => timeRead(client, system, tenant);
  for (let at = 0; at < warmups; at += 1) await timeOf(known);
  const first: number[] = [];
  const second: number[] = [];
  for (const tenant of cold) {
    first.push(await timeOf(tenant));
    second.push(await timeOf(tenant));
  }
  client.close();
  return { mode, tenants: cold.length, first: summary(first), second: summary(second) };
}

async function timeRead(
  client: Client,
  { headersOf }: SystemUnderTest,
  tenant: LoadTenant | undefined,
) {
  const pet = tenant?.pets[0];
  if (!tenant || !pet) throw new Error('Cannot ask a cold tenant: there are too few');
  const headers = headersOf(tenant);
  const startedAt = performance.now();
  const { status } = await client.send({ method: 'GET', path: `/api/pets/${pet.id}`, headers });
  if (status !== 200) throw new Error(`Cannot time a cold tenant: it answered ${status}`);
  return (performance.now() - startedAt) * 1_000;
}

function summary(timesUs: readonly number[]) {
  return { p50Us: percentileOf(timesUs, 0.5), p99Us: percentileOf(timesUs, 0.99) };
}
