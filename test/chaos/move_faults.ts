/** Tenants that move to other isolation modes. No answer to them may differ. */
import { setTimeout as pause } from 'node:timers/promises';
import { type IsolationModeName, isolationModes } from '../../src/isolation/modes.ts';
import { operatorOf } from '../support/client.ts';
import { choose } from '../support/random.ts';
import { until } from '../support/until.ts';
import type { Fault, FaultTargets } from './faults.ts';

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
        return { slug: player?.slug ?? '', to: choose(isolationModes, random) };
      });
      const moving = Promise.all(drawn.map(({ slug, to }) => move(targets, slug, to)));
      moving.catch(() => {});
      return async () => {
        await moving;
      };
    },
  },
} satisfies Record<string, Fault>;

/** Asks for the move until it has ended. When another fault has stopped it, the next request takes it up. */
async function move(
  { server, onMoved }: FaultTargets,
  slug: string,
  to: IsolationModeName,
): Promise<void> {
  const path = `/api/admin/tenants/${slug}`;
  const operator = operatorOf(server);
  // While the server is down there is no answer.
  const ask = (line: string, body?: object) => operator(line, body).catch(() => null);
  let asked = false;
  await until(async () => {
    const [tenant, latest] = [await ask(`GET ${path}`), await ask(`GET ${path}/move`)];
    const isThere = tenant?.status === 200 && tenant.body.isolation === to;
    const isOver = latest?.status === 404 || ['done', 'failed'].includes(latest?.body?.state);
    if (isThere && isOver) return true;
    const begun = await ask(`POST ${path}/move`, { to });
    asked ||= begun?.status === 202;
    await pause(pollMs);
    return false;
  }, patienceMs);
  if (asked) onMoved();
}
