/** Measures the cost of each stage: the same request, while stages are removed one by one. */

import type { Lab } from '../lab.ts';
import { stages } from '../labs/stages.ts';
import { conditions } from '../limits.ts';
import type { GroupResult } from '../result.ts';
import { runGroup, runIn } from '../rounds.ts';
import { labServer, stopAll } from './servers.ts';

/** The name of the case without removed stages. */
export const everything = 'everything';

export async function timeStages(lab: Lab): Promise<GroupResult> {
  lab.progress.phase('start a server without each stage');
  const names = [everything, ...stages.map(({ name }) => `without ${name}`)];
  const systems = await Promise.all(
    names.map((name, gone) =>
      labServer(lab, name, ['bench/labs/stage_process.ts', String(gone), lab.baselineUrl]),
    ),
  );
  await runIn(systems, lab.rounds);
  const cases = systems.map((system) => ({
    name: system.name,
    system,
    operation: 'read' as const,
    spread: 'uniform' as const,
    tenants: conditions.tenants,
    connections: conditions.connections,
  }));
  const title = 'Read one of shared mode, with stages taken off one by one';
  lab.progress.phase(title);
  const result = await runGroup({ name: 'stages', title, cases }, lab.rounds);
  await stopAll(systems);
  return result;
}
