/** Sends the loads that its parent asks for, with a higher priority than other processes of the machine. */
import { setPriority } from 'node:os';
import { runPaced } from './paced_load.ts';
import type { UserLoad } from './users.ts';

/** Nine times the weight of other processes (sched(7)); -20 would be that of the system's own work. */
const priority = -10;

let isOver = false;

process.on('message', async (message: 'over' | readonly UserLoad[]) => {
  if (message === 'over') {
    isOver = true;
    return;
  }
  isOver = false;
  const loads = message.map((load) => runPaced({ ...load, isOver: () => isOver }));
  process.send?.(await Promise.all(loads));
});
process.on('disconnect', () => process.exit());
process.send?.(hasPriority());

/** False without the right to it. */
function hasPriority(): boolean {
  try {
    setPriority(priority);
    return true;
  } catch {
    return false;
  }
}
