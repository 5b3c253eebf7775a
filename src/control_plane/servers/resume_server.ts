/** Places tenants again on a server that was drained, or that was given up and still exists. */
import { Refusal } from '../../kernel/errors.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { checkAddress } from './address_check.ts';
import { assertServer } from './server_list.ts';
import { learnServers } from './server_urls.ts';

/**
 * @throws {Refusal} `conflict` for a server whose addition or removal was not completed, and for a lost one that does
 *   not answer.
 * @throws {Error} when there is no such server.
 */
export async function resumeServer(fleet: Fleet, name: string): Promise<void> {
  await learnServers(fleet);
  const isBack = fleet.installation.isLost(name) && (await isThere(fleet, name));
  await asOwner(fleet, async (sql) => {
    await assertServer(sql, name);
    const resumed = await sql`
      update control.servers set status = 'active'
      where name = ${name} and (status in ('active', 'draining') or status = 'lost' and ${isBack})
      returning name`;
    if (resumed.length > 0) return;
    throw new Refusal('conflict', {
      detail: `Cannot resume the server "${name}": its addition or removal was not completed; run that command again first`,
    });
  });
  await learnServers(fleet);
}

async function isThere(fleet: Fleet, name: string): Promise<boolean> {
  const { found, reason } = await checkAddress(fleet, name);
  if (found === 'itself') return true;
  throw new Refusal('conflict', { detail: `Cannot resume the server "${name}": ${reason}` });
}
