/**
 * Gives up a server that never comes back. The registry says so first; from then on every process leaves out
 * each step on that server, so deletions and moves that would wait for it for ever end. A command that was
 * killed is continued by the same command.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { causeOf } from '../../postgres/errors.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import type { Moves } from '../moves/moves.ts';
import type { DeletionReceipt } from '../provisioning/deletion_receipt.ts';
import type { Onboarding } from '../provisioning/onboarding.ts';
import { checkAddress } from './address_check.ts';
import { assertAdded, assertEmpty, withServersLock } from './remove_server.ts';
import { assertServer } from './server_list.ts';
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
  /** Why the server is still in the registry; null when it was removed. */
  left: string | null;
};

/** Receives the number of handled tenants and the total. */
type OnProgress = (done: number, of: number) => void;

/**
 * Deletes the tenants of a lost server, undoes or completes the moves to and from it, and removes it.
 *
 * @throws {Refusal} `conflict` for the main server, for one that answers, and while another process works on a move
 *   to or from it.
 * @throws {Error} when there is no such server.
 */
export function loseServer(
  parts: LoseParts,
  name: string,
  onProgress?: OnProgress,
): Promise<LostServer> {
  const { fleet } = parts;
  return withServersLock(fleet, async () => {
    await markLost(fleet, name);
    await parts.moves.recover(name);
    const lost = await deleteTenants(parts, name, onProgress);
    // Whatever happens now, the receipts are returned.
    const left = await forget(fleet, name).then(
      () => null,
      (error: unknown) => causeOf(error).message,
    );
    return { ...lost, left };
  });
}

async function forget(fleet: Fleet, name: string): Promise<void> {
  await asOwner(fleet, async (sql) => {
    await assertEmpty(sql, name);
    await sql`delete from control.servers where name = ${name}`;
  });
  await learnServers(fleet);
}

/** How many tenants live on a server. @throws {Error} when there is no such server. */
export async function countTenantsOn({ control }: { control: Db }, name: string): Promise<number> {
  await assertServer(control, name);
  const [row] = await control<{ tenants: number }>`
    select count(*) as tenants from control.tenants where server = ${name}`;
  return row?.tenants ?? 0;
}

async function markLost(fleet: Fleet, name: string): Promise<void> {
  await whyGone(fleet, name);
  await asOwner(
    fleet,
    (sql) => sql`update control.servers set status = 'lost' where name = ${name}`,
  );
  await learnServers(fleet);
}

/**
 * Returns what was found at the address of a server that is gone: nothing, or another Postgres.
 *
 * @throws {Refusal} `conflict` for the main server, and for one that is there, or might be: a server that starts, or
 *   one whose certificate has expired, still has its tenants' rows.
 */
export async function whyGone(fleet: Fleet, name: string): Promise<string> {
  await asOwner(fleet, (sql) => assertAdded(sql, name));
  // Another process may have added the server a moment ago.
  await learnServers(fleet);
  const { found, reason } = await checkAddress(fleet, name);
  if (found === 'nothing' || found === 'another') return reason;
  const advice = found === 'itself' ? '; drain and remove it, or resume it first' : '';
  throw new Refusal('conflict', {
    detail: `Cannot give up the server "${name}": ${reason}${advice}`,
  });
}

async function deleteTenants(
  { control, onboarding }: LoseParts,
  name: string,
  onProgress: OnProgress = () => {},
): Promise<Omit<LostServer, 'left'>> {
  const tenants = await control<{ slug: Slug }>`
    select slug from control.tenants where server = ${name} order by slug`;
  const lost: Omit<LostServer, 'left'> = { deleted: [], failed: [] };
  for (const { slug } of tenants) {
    try {
      const receipt = await onboarding.remove(slug, null);
      if (receipt) lost.deleted.push(receipt);
    } catch (error) {
      lost.failed.push({ slug, error: causeOf(error).message });
    }
    onProgress(lost.deleted.length + lost.failed.length, tenants.length);
  }
  return lost;
}
