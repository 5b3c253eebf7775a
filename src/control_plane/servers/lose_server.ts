/**
 * Gives up a server that never comes back. The registry says so first; from then on every process leaves out
 * each step on that server, so deletions and moves that would wait for it for ever end. A command that was
 * killed is continued by the same command.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { causeOf, isUnreachable } from '../../postgres/errors.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import type { Moves } from '../moves/moves.ts';
import type { DeletionReceipt } from '../provisioning/deletion_receipt.ts';
import type { Onboarding } from '../provisioning/onboarding.ts';
import { withProbe } from './probe.ts';
import { assertAdded, assertEmpty, withServersLock } from './remove_server.ts';
import { assertServer } from './server_list.ts';
import { readMark } from './server_roles.ts';
import { learnServers } from './server_urls.ts';

type LoseParts = {
  fleet: Fleet;
  control: Db;
  onboarding: Pick<Onboarding, 'remove'>;
  moves: Pick<Moves, 'recover'>;
};

/** The tenants that lived there: `failed` are still to be deleted, by the next call. */
export type LostServer = {
  deleted: DeletionReceipt[];
  failed: { slug: Slug; error: string }[];
};

/**
 * Deletes the tenants of a lost server, undoes or completes the moves to and from it, and removes it.
 *
 * @throws {Refusal} `conflict` for the main server, for one that answers, and while another process works on a move
 *   to or from it.
 * @throws {Error} when there is no such server.
 */
export function loseServer(parts: LoseParts, name: string): Promise<LostServer> {
  const { fleet } = parts;
  return withServersLock(fleet, async () => {
    await markLost(fleet, name);
    await parts.moves.recover(name);
    const lost = await deleteTenants(parts, name);
    if (lost.failed.length > 0) return lost;
    await asOwner(fleet, async (sql) => {
      await assertEmpty(sql, name);
      await sql`delete from control.servers where name = ${name}`;
    });
    await learnServers(fleet);
    return lost;
  });
}

/** How many tenants live on a server. @throws {Error} when there is no such server. */
export async function countTenants({ control }: { control: Db }, name: string): Promise<number> {
  await assertServer(control, name);
  const [row] = await control<{ tenants: number }>`
    select count(*) as tenants from control.tenants where server = ${name}`;
  return row?.tenants ?? 0;
}

async function markLost(fleet: Fleet, name: string): Promise<void> {
  await asOwner(fleet, (sql) => assertAdded(sql, name));
  // Another process may have added the server a moment ago.
  await learnServers(fleet);
  await assertGone(fleet, name);
  await asOwner(
    fleet,
    (sql) => sql`update control.servers set status = 'lost' where name = ${name}`,
  );
  await learnServers(fleet);
}

/** @throws {Refusal} `conflict` unless nothing answers, or another Postgres than the one that was added. */
async function assertGone(fleet: Fleet, name: string): Promise<void> {
  const [known] = await asOwner(
    fleet,
    (sql) => sql<{ identity: string | null }>`
      select identity from control.servers where name = ${name}`,
  );
  const mark = await withProbe(fleet, name, (connection) =>
    readMark(connection, fleet.installation),
  ).catch((error: unknown) => {
    if (isUnreachable(error)) return null;
    throw stillThere(name, whyUnreachable(error));
  });
  if (mark === null || typeof mark === 'string') return;
  if (mark.name !== name || mark.identity !== known?.identity) return;
  throw stillThere(name, 'drain and remove it');
}

function stillThere(name: string, reason: string): Refusal {
  return new Refusal('conflict', {
    detail: `Cannot give up the server "${name}": it answers: ${reason}`,
  });
}

async function deleteTenants(
  { control, onboarding }: LoseParts,
  name: string,
): Promise<LostServer> {
  const tenants = await control<{ slug: Slug }>`
    select slug from control.tenants where server = ${name} order by slug`;
  const lost: LostServer = { deleted: [], failed: [] };
  for (const { slug } of tenants) {
    try {
      const receipt = await onboarding.remove(slug, null);
      if (receipt) lost.deleted.push(receipt);
    } catch (error) {
      lost.failed.push({ slug, error: causeOf(error).message });
    }
  }
  return lost;
}
