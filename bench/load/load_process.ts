/** The load process. It is separate, so that sending requests does not slow the measured server down. */
import { parse } from 'valibot';
import { closedLoop } from './load_run.ts';
import { type Job, job, type Report } from './messages.ts';
import { pace, sweep } from './pace.ts';

process.on('message', async (message: unknown) => {
  try {
    tell(await run(parse(job, message)));
  } catch (error) {
    tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
});
// Ctrl-C in a terminal reaches this process, too; it ends together with the lab.
process.on('SIGINT', () => process.disconnect());
tell({ kind: 'ready' });

function run(job: Job) {
  if (job.kind === 'pace') return pace(job);
  if (job.kind === 'sweep') return sweep(job);
  return closedLoop(job, (event) => tell({ kind: event }));
}

function tell(report: Report): void {
  process.send?.(report);
}
