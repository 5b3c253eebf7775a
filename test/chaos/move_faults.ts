/** Tenants that move to other isolation modes and servers. No answer to them may differ. */
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { isolationModes } from '../../src/isolation/modes.ts';
import { mainServer } from '../../src/kernel/tenant.ts';
import { operatorOf } from '../support/client.ts';
import { choose, seededRandom } from '../support/random.ts';
import { until } from '../support/until.ts';
import type { Fault, FaultTargets } from './faults.ts';
import { servers } from './whereabouts.ts';

/** As many as one process moves at the same time. */
const atOnce = 2;

/** Far longer than a move takes, also one that other faults interrupt again and again. */
const patienceMs = 120_000;

const pollMs = 50;

export const moveFaults = {
  'tenants move': {
    track: 'moves',
    lastsMs: [0, 100],
    takesMs: 2_000,
    begin: async (targets, random) => {
      const left = [...targets.players];
      const drawn = Array.from({ length: atOnce }, () => {
        const [player] = left.splice(Math.floor(random() * left.length), 1);
        return { slug: player?.slug ?? '', random: seededRandom(random() * 2 ** 32) };
      });
      const moving = Promise.all(
        drawn.map(async ({ slug, random }) => {
          await move(targets, slug, await drawAim(targets, slug, random));
        }),
      );
      targets.moving = moving.catch(() => {});
      return async () => {
        await moving;
      };
    },
  },
} satisfies Record<string, Fault>;

type Aim = { to: string; server: string };

/** A place that is not the tenant's own. Tenants of the modes without a database live on the main server. */
async function drawAim({ server }: FaultTargets, slug: string, random: () => number): Promise<Aim> {
  const ask = operatorOf(server);
  let tenant: Aim | undefined;
  // While the server is down there is no answer.
  await until(async () => {
    const found = await ask(`GET /api/admin/tenants/${slug}`).catch(() => null);
    if (found?.status === 200) tenant = { to: found.body.isolation, server: found.body.server };
    return tenant !== undefined;
  }, patienceMs);
  const aims = isolationModes.flatMap((to) =>
    (to === 'database' ? servers : [mainServer]).map((name) => ({ to, server: name })),
  );
  return choose(
    aims.filter((aim) => !isDeepStrictEqual(aim, tenant)),
    random,
  );
}

/** Asks for the move until it has ended. When another fault has stopped it, the next request takes it up. */
async function move(
  { server, onMoved, whereabouts }: FaultTargets,
  slug: string,
  aim: Aim,
): Promise<void> {
  const path = `/api/admin/tenants/${slug}`;
  const operator = operatorOf(server);
  // While the server is down there is no answer.
  const ask = (line: string, body?: object) => operator(line, body).catch(() => null);
  let asked = false;
  let state = 'no answer';
  whereabouts.mayBe(slug, aim.server, performance.now());
  await until(async () => {
    const [tenant, latest] = [await ask(`GET ${path}`), await ask(`GET ${path}/move`)];
    state = `${tenant?.text} ${latest?.text}`;
    const isThere = tenant?.status === 200 && isAt(tenant.body, aim);
    const isOver = latest?.status === 404 || ['done', 'failed'].includes(latest?.body?.state);
    if (isThere && isOver) return true;
    const begun = await ask(`POST ${path}/move`, aim);
    asked ||= begun?.status === 202;
    await pause(pollMs);
    return false;
  }, patienceMs).catch((cause: unknown) => {
    throw new Error(`Cannot move "${slug}" to ${aim.to} on ${aim.server}: ${state}`, { cause });
  });
  whereabouts.is(slug, aim.server, performance.now());
  if (asked) onMoved();
}

function isAt(tenant: { isolation: string; server: string }, { to, server }: Aim): boolean {
  return tenant.isolation === to && tenant.server === server;
}
