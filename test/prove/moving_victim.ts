/**
 * A victim that is moved or restored. Its move or its restore waits at one step for as long as the lab is open, so
 * each attack meets the same objects: the capture, the copied rows, the fences and the record of the move.
 */
import { join } from 'node:path';
import { restoreTenant } from '../../src/control_plane/archive/restore_tenant.ts';
import { captureOf } from '../../src/control_plane/moves/change_capture.ts';
import type { MoveStep } from '../../src/control_plane/moves/move_job.ts';
import type { ReplaceStep } from '../../src/control_plane/moves/replace_job.ts';
import { stagingPlacement } from '../../src/control_plane/provisioning/staging.ts';
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import type { Slug } from '../../src/kernel/tenant.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import type { Services } from '../../src/services.ts';
import type { MovingSetting } from './setting.ts';

export type MovingVictim = {
  /** Further places that have rows of the victim. */
  places: readonly Placement[];
  /** Tables of the capture, in the place where the victim was at first. */
  captureTables: readonly string[];
  /** Ends the move or the restore, as the end of its process does. To be called when the server is closed. */
  release(): void;
};

type Step = MoveStep | ReplaceStep;
type Begin = (onStep: (step: Step) => Promise<void>) => Promise<unknown>;
/** The victim before its move, and a folder for its archive. */
type Tenant = { services: Services; slug: Slug; ref: TenantRef; folder: string };

/** The mode that the victim moves to, and the step at which it waits. */
const moves: Readonly<
  Record<Exclude<MovingSetting, 'restoring' | 'restored'>, [IsolationModeName, MoveStep]>
> = {
  'shared-to-schema': ['schema', 'copied'],
  'schema-to-database': ['database', 'fenced'],
  'database-to-shared': ['shared', 'switched'],
};

/** Moves or restores the victim up to the step of its setting. */
export async function moveVictim(setting: MovingSetting, tenant: Tenant): Promise<MovingVictim> {
  const { services, ref: first } = tenant;
  const { installation, modes } = services.fleet;
  const placement = modes.placementOf(first);
  const captureTables = ['changes', 'fence'].map((table) => `"${captureOf(first.id)}".${table}`);
  if (setting === 'restored') {
    await move(tenant, 'schema');
    await move(tenant, first.isolation);
    await restore(tenant);
    return { places: [], captureTables: [], release: () => {} };
  }
  if (setting === 'restoring') {
    const release = await heldAt('saved', (onStep) => restore(tenant, onStep));
    const { schema } = stagingPlacement(installation, placement, first);
    // With the role that serves tenants, which the layers of a placement are about.
    return { places: [{ ...placement, schema }], captureTables, release };
  }
  const [to, step] = moves[setting];
  const release = await heldAt(step, (onStep) => move(tenant, to, onStep));
  const next: TenantRef = { ...first, isolation: to, generation: first.generation + 1 };
  return { places: [placement, modes.placementOf(next)], captureTables, release };
}

/** @returns a function that ends the work. */
function heldAt(step: Step, begin: Begin): Promise<() => void> {
  return new Promise((reached, failed) => {
    const { promise, release } = untilReleased();
    begin((taken) => {
      if (taken !== step) return Promise.resolve();
      reached(release);
      return promise;
    }).catch(failed);
  });
}

function untilReleased(): { promise: Promise<void>; release: () => void } {
  let release = () => {};
  const promise = new Promise<void>((_, reject) => {
    release = () => reject(new Error('The lab is closed'));
  });
  return { promise, release };
}

async function move({ services, slug }: Tenant, to: string, onStep = async (_: Step) => {}) {
  const { finished } = await services.moves.begin({ slug, to, requestId: null }, { onStep });
  return finished;
}

async function restore({ services, slug, folder }: Tenant, onStep = async (_: Step) => {}) {
  const { archives, exports, moves, pools } = services;
  const file = join(folder, 'victim.kennel.gz');
  const exported = await exports.find(slug);
  if (!exported) throw new Error('Cannot restore the victim: there is no such tenant');
  await exports.save(exported, file, { withKeys: false });
  return restoreTenant(
    { archives, exports, moves, serving: pools.serving, now: () => new Date() },
    { file, slug, onProgress: () => {}, onStep },
  );
}
