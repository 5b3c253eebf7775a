/** Finds out whether a server can be used now, within a limit that is short enough to wait for. */
import { Refusal } from '../../kernel/errors.ts';
import { mainServer } from '../../kernel/tenant.ts';
import { Connection } from '../../postgres/connection.ts';
import { isUnreachable } from '../../postgres/errors.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import type { Fleet } from '../fleet.ts';

/** A server that cannot be used now. */
export type Down = { server: string; reason: string };

/**
 * Asserts that the servers can be used, before work that would wait for one that hangs, and hold locks and
 * connections meanwhile.
 *
 * @throws {Refusal} `unavailable` for an added server that cannot be used now.
 */
export async function assertUp(fleet: Fleet, ...servers: readonly string[]): Promise<void> {
  const [down] = await downAmong(fleet, servers);
  if (down) throw serverDown(down);
}

/** Returns those that cannot be used now. A lost server is not among them: there is no work to do on it. */
export async function downAmong(fleet: Fleet, servers: readonly string[]): Promise<Down[]> {
  const added = [...new Set(servers)].filter(
    (server) => server !== mainServer && !fleet.installation.isLost(server),
  );
  const found = await Promise.all(
    added.map(async (server) => ({ server, reason: await whyUnusable(fleet, server) })),
  );
  return found.flatMap(({ server, reason }) => (reason === null ? [] : [{ server, reason }]));
}

/** Returns the refusal of work on a server that is down. */
export function serverDown({ server, reason }: Down): Refusal {
  return new Refusal('unavailable', {
    operatorOnly: true,
    detail: `The server "${server}" cannot be used: ${reason}`,
    retryAfterSeconds: 1,
  });
}

/** Whether there is a Postgres at all, even if it refuses the session. */
export async function answers(fleet: ProbeParts, server: string): Promise<boolean> {
  try {
    await withProbe(fleet, server, nothing);
    return true;
  } catch (error) {
    return !isUnreachable(error);
  }
}

/** Returns the reason in a few words; null when the administrator can open a session. */
export async function whyUnusable(fleet: ProbeParts, server: string): Promise<string | null> {
  try {
    await withProbe(fleet, server, nothing);
    return null;
  } catch (error) {
    return whyUnreachable(error);
  }
}

type ProbeParts = Pick<Fleet, 'installation' | 'probeConnection'>;

/** Does something in a new session of the administrator: an idle one of a pool may hang. */
export async function withProbe<Result>(
  { installation, probeConnection }: ProbeParts,
  server: string,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const url = installation.adminUrlOf(installation.homeOf(server));
  const connection = await Connection.open(url, probeConnection);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

const nothing = async () => {};
