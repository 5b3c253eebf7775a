/**
 * The files of `src` with a function that runs for one `GET /api/pets/{id}` of a tenant that is known
 * already, in each mode: what a reader opens to follow a request. Counted by V8's precise coverage of this
 * process. `--list` prints their paths.
 */
import { Session } from 'node:inspector/promises';
import { parseArgs } from 'node:util';
import { isolationModes } from '../../src/isolation/modes.ts';
import { clientOf, onboard } from '../support/client.ts';
import { openLab } from '../support/lab.ts';
import { print, printTable } from './table.ts';
import { withCluster } from './with_cluster.ts';

/** Always true: it has no bound. */
export async function measureRequestPath(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options: { list: { type: 'boolean' } } });
  const files = new Map<string, string[]>();
  await withCluster(async (url) => {
    const lab = await openLab(url);
    try {
      for (const isolation of isolationModes) {
        const tenant = await onboard(lab, `${isolation}-pets`, { isolation });
        const call = clientOf(lab, tenant);
        const [pet] = (await call('GET /api/pets')).body.items;
        const get = async () => void (await call(`GET /api/pets/${pet.id}`));
        const runs = [await filesRunBy(get), await filesRunBy(get), await filesRunBy(get)];
        // Timers run files of their own, now and then.
        const always = runs[0]?.filter((path) => runs.every((run) => run.includes(path)));
        files.set(isolation, always ?? []);
      }
    } finally {
      await lab.close();
    }
  });
  const paths = [...new Set([...files.values()].flat())].sort();
  if (values.list) for (const path of paths) print(path);
  printTable(
    ['mode', 'files'],
    [...files].map(([mode, list]) => [mode, `${list.length}`]),
  );
  return true;
}

async function filesRunBy(work: () => Promise<void>): Promise<string[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  // What ran before the coverage began is not in it.
  await session.post('Profiler.takePreciseCoverage');
  await work();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  const ran = result.filter(({ functions }) =>
    // The function that begins at 0 is the module.
    functions.some(({ ranges: [whole] }) => whole && whole.startOffset > 0 && whole.count > 0),
  );
  return ran.flatMap(({ url }) => /src\/.*\.[jt]s$/.exec(url)?.[0] ?? []);
}
