/** Sends the loads that its parent asks for, before other processes of the machine may run. */
import { setPriority } from 'node:os';
import { runPaced } from './paced_load.ts';
import type { UserLoad } from './users.ts';

/** Enough to go first; -20 would be before the system's own work. */
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
process.send?.(goesFirst());

/** False without the right to it. */
function goesFirst(): boolean {
  try {
    setPriority(priority);
    return true;
  } catch {
    return false;
  }
}
