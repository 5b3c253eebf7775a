/** Checks a system's replies before it is timed: the speed of wrong replies is meaningless. */
import { limits } from './limits.ts';
import { Client } from './load/client.ts';
import { expectationsOf, type Workload } from './operations.ts';
import type { SystemUnderTest } from './systems_under_test.ts';

/** Returns the first error in a reply, or null. */
export async function check(
  { server, loadTenants, headersOf }: SystemUnderTest,
  { operation, tenants }: Workload,
): Promise<string | null> {
  const client = new Client(server.url, limits.checkMs);
  const taking = loadTenants.slice(0, tenants);
  // From both ends of the list, to detect a server that knows only one tenant.
  const asked = new Set([...taking.slice(0, limits.checkedTenants - 1), ...taking.slice(-1)]);
  try {
    for (const tenant of asked) {
      for (const { ask, fault } of expectationsOf(operation, tenant)) {
        const json = ask.body === undefined ? {} : { 'content-type': 'application/json' };
        const answer = await client.send({ ...ask, headers: { ...headersOf(tenant), ...json } });
        const wrong = fault(answer);
        if (wrong) return `${tenant.slug}, ${ask.method} ${ask.path}: ${wrong}`;
      }
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    client.close();
  }
}
