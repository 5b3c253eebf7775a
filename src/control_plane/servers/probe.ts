/** Finds out whether a server can be used now, within a limit that is short enough to wait for. */
import { unavailable } from '../../kernel/errors.ts';
import { mainServer } from '../../kernel/tenant.ts';
import { Connection } from '../../postgres/connection.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import type { Fleet } from '../fleet.ts';

/** @throws {Refusal} `unavailable` for an added server that cannot be used now. */
export async function assertUp(fleet: Fleet, server: string): Promise<void> {
  const reason = server === mainServer ? null : await whyUnusable(fleet, server);
  if (reason === null) return;
  throw unavailable(`The server "${server}" cannot be used: ${reason}`);
}

/** Returns the reason in a few words; null when the administrator can open a session. */
export async function whyUnusable(
  { installation, probeConnection }: Pick<Fleet, 'installation' | 'probeConnection'>,
  server: string,
): Promise<string | null> {
  try {
    const target = installation.adminTarget(installation.homeOf(server));
    (await Connection.open(target, probeConnection)).close();
    return null;
  } catch (error) {
    return whyUnreachable(error);
  }
}
