/** Places tenants on a server again that was drained. */
import { Refusal } from '../../kernel/errors.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { assertServer } from './server_list.ts';

/**
 * @throws {Refusal} `conflict` for a server whose addition or removal was not completed.
 * @throws {Error} when there is no such server.
 */
export async function resumeServer(fleet: Fleet, name: string): Promise<void> {
  await asOwner(fleet, async (sql) => {
    await assertServer(sql, name);
    const resumed = await sql`
      update control.servers set status = 'active'
      where name = ${name} and status in ('active', 'draining')
      returning name`;
    if (resumed.length > 0) return;
    throw new Refusal('conflict', {
      detail: `Cannot resume the server "${name}": it was not added or removed completely; do this first`,
    });
  });
}
