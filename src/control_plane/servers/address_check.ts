/** Whether a server that was added is still at its address. */
import { isSilence } from '../../postgres/errors.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { withProbe } from './probe.ts';
import { readMark, type ServerMark } from './server_roles.ts';

/**
 * The result of a check of an address: there is the server itself, another Postgres, something unknown, or nothing
 * that answers. The reason says it in a few words.
 */
export type AddressCheck = {
  found: 'itself' | 'another' | 'something' | 'nothing';
  reason: string;
};

/** Connects to a server's address from this machine; others may see more. */
export async function checkAddress(fleet: Fleet, name: string): Promise<AddressCheck> {
  let answered = false;
  try {
    const mark = await withProbe(fleet, name, (connection) => {
      answered = true;
      return readMark(connection, fleet.installation);
    });
    if (await isOwn(fleet, name, mark)) return { found: 'itself', reason: 'it answers' };
    return { found: 'another', reason: 'another Postgres answers at its address' };
  } catch (error) {
    const found = !answered && isSilence(error) ? 'nothing' : 'something';
    return { found, reason: whyUnreachable(error) };
  }
}

async function isOwn(fleet: Fleet, name: string, mark: ServerMark): Promise<boolean> {
  if (typeof mark === 'string' || mark.name !== name) return false;
  const known = await asOwner(
    fleet,
    (sql) => sql`
      select from control.servers
      where name = ${name} and identity is not distinct from ${mark.identity}`,
  );
  return known.length > 0;
}
