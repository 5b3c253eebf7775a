/**
 * Tenants that are exported and restored while they are used. Their rows go back to those of the archive at one
 * moment, also when the process of the restore is killed, or leave as they are.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { nodeScript } from '../../bench/node_script.ts';
import { type ReplaceStep, replaceSteps } from '../../src/control_plane/moves/replace_job.ts';
import { bearer } from '../support/client.ts';
import { adminToken } from '../support/kennel.ts';
import { choose } from '../support/random.ts';
import { runCommand, runProcess } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';
import type { Fault, FaultTargets } from './faults.ts';
import type { Player } from './scene.ts';

/** Far longer than a restore takes, also one that other faults interrupt again and again. */
const patienceMs = 120_000;

/** Longer than the server hangs. */
const downloadMs = 10_000;

/** The tenant writes for so long at most between its export and its restore. */
const staleMs = 1_000;

const common = { track: 'restores', lastsMs: [0, 100], takesMs: 5_000 } as const;

export const restoreFaults = {
  'a tenant is restored': {
    ...common,
    begin: (targets, random) => beginRestore(targets, random, null),
  },
  'a restore is killed': {
    ...common,
    begin: (targets, random) => beginRestore(targets, random, choose(replaceSteps, random)),
  },
} satisfies Record<string, Fault>;

type Order = {
  player: Player;
  file: string;
  /** The step after which the process is killed. */
  last: ReplaceStep | null;
};

async function beginRestore(targets: FaultTargets, random: () => number, last: ReplaceStep | null) {
  const player = choose(targets.players, random);
  const file = join(targets.folder, `${player.slug}.kennel.gz`);
  const waitMs = random() * staleMs;
  const restoring = (async () => {
    await exportTo(file, targets, player);
    await pause(waitMs);
    await restore(targets, { player, file, last });
  })();
  targets.restoring = restoring.catch(() => {});
  return () => restoring;
}

/** Asks for an archive until there is a whole one. */
function exportTo(file: string, { server }: FaultTargets, { slug, model }: Player): Promise<void> {
  const url = `${server.url}/api/admin/tenants/${slug}/export`;
  return until(async () => {
    const work = model.pets.begin('export');
    const bytes = await download(url).catch(() => null);
    await model.pets.end(work, bytes !== null);
    if (bytes) await writeFile(file, bytes);
    return bytes !== null;
  }, patienceMs);
}

async function download(url: string): Promise<Buffer | null> {
  const signal = AbortSignal.timeout(downloadMs);
  const reply = await fetch(url, { headers: bearer(adminToken), signal });
  const bytes = Buffer.from(await reply.arrayBuffer());
  return reply.status === 200 ? bytes : null;
}

/** Tries until the tenant is restored, or a process was killed after the step; other faults may stop it before. */
async function restore(targets: FaultTargets, order: Order): Promise<void> {
  const { player, last } = order;
  const { pets } = player.model;
  let said = '';
  await until(async () => {
    const before = await recordOf(targets, player);
    const work = pets.begin('restore');
    const { code, err } = await run(targets, order);
    said = err;
    const isRestored = (await outcomeOf(targets, player)) > before.restores;
    await pets.end(work, isRestored);
    const isOver = last === null ? isRestored : code === null;
    if (!isOver) return false;
    if (last === null) targets.onRestored('done');
    else targets.onRestored(isRestored ? 'completed' : 'undone');
    return true;
  }, patienceMs).catch((cause: unknown) => {
    throw new Error(`Cannot restore "${player.slug}": ${said}`, { cause });
  });
}

/** The code is null for a process that was killed. */
function run({ cluster }: FaultTargets, { player: { slug }, file, last }: Order) {
  const variables = { DATABASE_URL: cluster.url };
  if (last === null) return runCommand('tenants', ['restore', slug, file], variables);
  return runProcess(process.execPath, [...restoringProcess, slug, file, last], variables);
}

/** Recovers the restore if its process has left it. @returns how often the tenant was restored. */
async function outcomeOf(targets: FaultTargets, player: Player): Promise<number> {
  let record = await recordOf(targets, player);
  await until(async () => {
    if (!record.isUnderWay) return true;
    // A server would do it within a minute.
    await runProcess(process.execPath, restoringProcess, { DATABASE_URL: targets.cluster.url });
    record = await recordOf(targets, player);
    return !record.isUnderWay;
  }, patienceMs);
  return record.restores;
}

const restoringProcess = nodeScript('test/support/restoring_process.ts');

type RestoreRecord = { restores: number; isUnderWay: boolean };

/** Asks the registry, until it answers. */
async function recordOf({ cluster }: FaultTargets, { slug, id }: Player): Promise<RestoreRecord> {
  let record: RestoreRecord | undefined;
  await until(async () => {
    const look = lookInto(
      cluster.url,
      (sql) => sql<RestoreRecord[]>`
        select
          (select count(*)::int from control.audit_events
            where tenant = ${slug} and event = 'tenant_restored') as restores,
          exists (select from control.moves
            where tenant_id = ${id} and kind = 'restore'
              and state in ('copying', 'catching_up', 'switched')) as "isUnderWay"`,
    );
    [record] = await look.catch(() => []);
    return record !== undefined;
  }, patienceMs);
  if (!record) throw new Error('Cannot look into the registry: it has not answered');
  return record;
}
