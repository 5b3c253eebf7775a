/** Tenants that move to other isolation modes and servers. No answer to them may differ. */
import { setTimeout as pause } from 'node:timers/promises';
import { isolationModes } from '../../src/isolation/modes.ts';
import { mainServer } from '../../src/kernel/tenant.ts';
import { operatorOf } from '../support/client.ts';
import { choose } from '../support/random.ts';
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
        return { slug: player?.slug ?? '', aim: drawAim(random) };
      });
      const moving = Promise.all(drawn.map(({ slug, aim }) => move(targets, slug, aim)));
      targets.moving = moving.catch(() => {});
      return async () => {
        await moving;
      };
    },
  },
} satisfies Record<string, Fault>;

type Aim = { to: string; server: string };

/** The tenants of the other modes live on the main server. */
function drawAim(random: () => number): Aim {
  const to = choose(isolationModes, random);
  return { to, server: to === 'database' ? choose(servers, random) : mainServer };
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
