/**
 * `npm run measure -- <what>`: claims about time, which no test may make because they depend on the
 * machine. Each command prints its figures and ends with 1 when a bound is missed.
 */
import { measureEnumeration } from './enumeration.ts';
import { measureNoisyNeighbour } from './noisy_neighbour.ts';

const measurements: Record<string, (flags: string[]) => Promise<boolean>> = {
  enumeration: measureEnumeration,
  'noisy-neighbour': measureNoisyNeighbour,
};

const [name = '', ...flags] = process.argv.slice(2);
const measure = measurements[name];
if (measure) {
  process.exitCode = (await measure(flags)) ? 0 : 1;
} else {
  const known = Object.keys(measurements).join(' or ');
  process.stderr.write(`Cannot measure "${name}": expected ${known}\n`);
  process.exitCode = 1;
}
