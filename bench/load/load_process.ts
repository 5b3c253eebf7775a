/** The process that sends the requests, so that sending them does not slow down who is measured. */
import { parse } from 'valibot';
import { storm } from './load_run.ts';
import { type Job, job, type Report } from './messages.ts';
import { pace, sweep } from './pace.ts';

process.on('message', async (message: unknown) => {
  try {
    tell(await run(parse(job, message)));
  } catch (error) {
    tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
});
// Ctrl-C in a terminal reaches us too; the lab decides when we end, at the latest with itself.
process.on('SIGINT', () => process.disconnect());
tell({ kind: 'ready' });

function run(order: Job) {
  if (order.kind === 'pace') return pace(order);
  if (order.kind === 'sweep') return sweep(order);
  return storm(order, (event) => tell({ kind: event }));
}

function tell(report: Report): void {
  process.send?.(report);
}
