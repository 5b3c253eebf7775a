/**
 * The noisy neighbour, in its own process so that its answers do not delay the clock of the
 * measured clients. Its command line says which requests it sends; it prints a line when it begins
 * and one with the answers that it got.
 */
import { runPaced } from './paced_load.ts';

const [url = '', bytes = '', perSecond = '0', seconds = '0'] = process.argv.slice(2);

process.stdout.write('begins\n');
const done = await runPaced({
  url,
  requests: [bytes],
  perSecond: Number(perSecond),
  seconds: Number(seconds),
  connections: 1_000,
});
const count = (status: number) => done.filter((answer) => answer.status === status).length;
const told = { served: count(200), refused: count(503), lost: count(0), all: done.length };
process.stdout.write(`${JSON.stringify(told)}\n`);
