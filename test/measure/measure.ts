/**
 * `npm run measure -- NAME`: claims about time, which no test may make because they depend on the
 * machine. Each command prints its figures and ends with 1 when a bound is missed.
 */
import { asksForHelp, exitUsage } from '../../src/cli/arguments.ts';
import { measureArchive } from './archive.ts';
import { measureEnumeration } from './enumeration.ts';
import { measureFleet } from './fleet.ts';
import { measureMove } from './move.ts';
import { measureNoisyNeighbour } from './noisy_neighbour.ts';
import { measureRequestPath } from './request_path.ts';
import { measureRestore } from './restore.ts';

const measurements: Record<string, (flags: string[]) => Promise<boolean>> = {
  archive: measureArchive,
  enumeration: measureEnumeration,
  fleet: measureFleet,
  move: measureMove,
  'noisy-neighbour': measureNoisyNeighbour,
  'request-path': measureRequestPath,
  restore: measureRestore,
};

const known = Object.keys(measurements);
const [name = '', ...flags] = process.argv.slice(2);
const measure = Object.hasOwn(measurements, name) ? measurements[name] : undefined;
if (asksForHelp([name])) {
  process.stdout.write(`Usage: npm run measure -- ${known.join('|')} [FLAGS]\n`);
} else if (measure) {
  process.exitCode = (await measure(flags)) ? 0 : 1;
} else {
  process.stderr.write(`Cannot measure "${name}": expected ${known.join(' or ')}\n`);
  process.exitCode = exitUsage;
}
