/**
 * A tenant's first request to a process that has never heard of it, and its second. The process has
 * served others before, one after the other, and nothing else is going on.
 */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { Lab } from '../lab.ts';
import { limits } from '../limits.ts';
import { Client } from '../load/client.ts';
import type { Member } from '../provision.ts';
import type { ColdStart } from '../result.ts';
import { percentileOf } from '../statistics.ts';
import type { Subject } from '../systems_under_test.ts';
import { kennelOf, stopAll } from './servers.ts';

/** Tenants whose first request is looked at. */
const most = 100;

/** Requests that get the process going, to a tenant that is not looked at. */
const warmups = 300;

export async function timeColdStarts(lab: Lab): Promise<ColdStart[]> {
  const results: ColdStart[] = [];
  for (const mode of ['shared', 'schema', 'database'] as const) {
    // One is there to warm the process up, so it takes another one that is cold.
    if (lab.members[mode].length < 2) continue;
    lab.progress.phase(`cold tenants of mode ${mode}`);
    const subject = await kennelOf(lab, mode);
    results.push(await coldStart(mode, subject));
    await stopAll([subject]);
  }
  return results;
}

async function coldStart(mode: IsolationModeName, subject: Subject): Promise<ColdStart> {
  const [known, ...others] = subject.members;
  const cold = others.slice(0, most);
  const client = new Client(subject.server.url, limits.requestMs);
  const timeOf = (member: Member | undefined) => timeRead(client, subject, member);
  for (let at = 0; at < warmups; at += 1) await timeOf(known);
  const first: number[] = [];
  const second: number[] = [];
  for (const member of cold) {
    first.push(await timeOf(member));
    second.push(await timeOf(member));
  }
  client.close();
  return { mode, tenants: cold.length, first: summary(first), second: summary(second) };
}

async function timeRead(client: Client, { headersOf }: Subject, member: Member | undefined) {
  const pet = member?.pets[0];
  if (!member || !pet) throw new Error('Cannot ask a cold tenant: there are too few');
  const headers = headersOf(member);
  const startedAt = performance.now();
  const { status } = await client.send({ method: 'GET', path: `/api/pets/${pet.id}`, headers });
  if (status !== 200) throw new Error(`Cannot time a cold tenant: it answered ${status}`);
  return (performance.now() - startedAt) * 1_000;
}

function summary(timesUs: readonly number[]) {
  return { p50Us: percentileOf(timesUs, 0.5), p99Us: percentileOf(timesUs, 0.99) };
}
