/**
 * The clients of the server while faults are active: writers, readers, and one that probes
 * liveness.
 */
import { setTimeout as pause } from 'node:timers/promises';
import * as v from 'valibot';
import { ways } from '../support/client.ts';
import { choose } from '../support/random.ts';
import { accountActions } from './account_actions.ts';
import { drawOperation } from './operations.ts';
import type { Pauses } from './pauses.ts';
import { petActions } from './pet_actions.ts';
import { askOwn, read, type Scene } from './scene.ts';

export type ActorOptions = { random: () => number; signal: AbortSignal };

const actions = { ...petActions, ...accountActions };

/** How long an actor waits after a call without an answer, and between two liveness probes. */
const pauseMs = 20;

/** A liveness probe that takes longer means that the machine gave the process no time. */
const stallMs = 100;

/** The writer of one tenant: all its answers are checked against the tenant's model. */
export async function act(scene: Scene, { random, signal }: ActorOptions): Promise<number> {
  let operations = 0;
  while (!signal.aborted) {
    const operation = drawOperation(random);
    const before = scene.caller.troubles;
    await actions[operation.kind](scene, operation);
    scene.player.model.pets.betweenCalls();
    operations += 1;
    if (scene.caller.troubles > before) await pause(pauseMs);
    // An operation may have found nothing to do.
    else await pause(0);
  }
  return operations;
}

const listShape = v.object({ items: v.array(v.object({ name: v.string() })) });

/** Reads beside the writer: every row must belong to the tenant itself. */
export async function watch(scene: Scene, { random, signal }: ActorOptions): Promise<number> {
  const { pets } = scene.player.model;
  let reads = 0;
  while (!signal.aborted) {
    const way = choose(ways, random);
    const limit = 1 + Math.floor(random() * 100);
    const { status, body } = await askOwn(scene, `GET /api/pets?limit=${limit}`, { way });
    reads += 1;
    const list = status === 200 ? read(scene, listShape, body) : null;
    for (const { name } of list?.items ?? []) pets.ownerOf(name, 'a list');
    await pause(pauseMs);
  }
  return reads;
}

/**
 * Probes whether the process is alive, whatever its database does. While the process does not get
 * to answer, it counts as not running.
 */
export async function probeLiveness(
  scene: Scene,
  { pauses, signal }: { pauses: Pauses; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const sentMs = performance.now();
    const { status } = await askOwn(scene, 'GET /livez', { way: 'header' });
    const answeredMs = performance.now();
    if (status !== 200) scene.anomalies.report('odd answer', `/livez: ${status}`);
    if (answeredMs - sentMs > stallMs) pauses.begin(sentMs)(answeredMs);
    await pause(pauseMs);
  }
}
