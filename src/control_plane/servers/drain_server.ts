/** Moves all tenants of a server to others, one by one, while they are served. */
import { Refusal } from '../../kernel/errors.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { causeOf } from '../../postgres/errors.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import type { Moves } from '../moves/moves.ts';
import { chooseServer } from './choose_server.ts';
import { assertServer } from './server_list.ts';

type DrainParts = { fleet: Fleet; control: Db; moves: Pick<Moves, 'begin'> };

export type Drained = {
  moved: number;
  failed: { slug: Slug; error: string }[];
  /** Tenants that still live there: those that failed, and those that are being created or deleted. */
  left: number;
};

/**
 * Marks the server, so that no tenant is placed there any more, and moves its tenants. Those that fail are
 * reported, and tried again by the next call.
 *
 * @throws {Refusal} `conflict` when there is no other active server.
 * @throws {Error} when there is no such server.
 */
export async function drainServer(
  parts: DrainParts,
  name: string,
  onMoved: (done: number, of: number) => void = () => {},
): Promise<Drained> {
  await mark(parts.fleet, name);
  const tenants = await tenantsOn(parts, name);
  const drained: Drained = { moved: 0, failed: [], left: 0 };
  for (const [at, { slug, isolation }] of tenants.entries()) {
    try {
      const server = await chooseServer(parts, { isolation });
      const { finished } = await parts.moves.begin({
        slug,
        to: isolation,
        server,
        requestId: null,
      });
      await finished;
      drained.moved += 1;
    } catch (error) {
      drained.failed.push({ slug, error: causeOf(error).message });
    }
    onMoved(at + 1, tenants.length);
  }
  return { ...drained, left: await countOn(parts, name) };
}

async function mark(fleet: Fleet, name: string): Promise<void> {
  await asOwner(fleet, async (sql) => {
    await assertServer(sql, name);
    const others = await sql`
      select from control.servers where name <> ${name} and status = 'active'`;
    if (others.length === 0) {
      throw new Refusal('conflict', {
        detail: `Cannot drain the server "${name}": there is no other active server`,
      });
    }
    const drained = await sql`
      update control.servers set status = 'draining'
      where name = ${name} and status in ('active', 'draining')
      returning name`;
    if (drained.length > 0) return;
    throw new Refusal('conflict', {
      detail: `Cannot drain the server "${name}": its addition or removal was not completed; run that command again first`,
    });
  });
}

function tenantsOn(
  { control, fleet }: DrainParts,
  name: string,
): Promise<{ slug: Slug; isolation: string }[]> {
  return control<{ slug: Slug; isolation: string }>`
    select slug, isolation from control.tenants
    where server = ${name} and isolation = any (${fleet.modes.withServers})
      and status in ('active', 'suspended')
    order by slug`;
}

async function countOn({ control, fleet }: DrainParts, name: string): Promise<number> {
  const [row] = await control<{ tenants: number }>`
    select count(*) as tenants from control.tenants
    where server = ${name} and isolation = any (${fleet.modes.withServers})`;
  return row?.tenants ?? 0;
}
