/** Asks a subject before it is timed: figures of wrong answers are worth nothing. */
import { limits } from './limits.ts';
import { Client } from './load/client.ts';
import { expectationsOf, type Workload } from './operations.ts';
import type { Subject } from './systems_under_test.ts';

/** What was wrong with an answer; null when all were right. */
export async function check(
  { server, members, headersOf }: Subject,
  { operation, tenants }: Workload,
): Promise<string | null> {
  const client = new Client(server.url, limits.checkMs);
  const taking = members.slice(0, tenants);
  // From both ends, so that somebody who knows but one tenant is found out.
  const asked = new Set([...taking.slice(0, limits.checkedTenants - 1), ...taking.slice(-1)]);
  try {
    for (const member of asked) {
      for (const { ask, fault } of expectationsOf(operation, member)) {
        const json = ask.body === undefined ? {} : { 'content-type': 'application/json' };
        const answer = await client.send({ ...ask, headers: { ...headersOf(member), ...json } });
        const wrong = fault(answer);
        if (wrong) return `${member.slug}, ${ask.method} ${ask.path}: ${wrong}`;
      }
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    client.close();
  }
}
