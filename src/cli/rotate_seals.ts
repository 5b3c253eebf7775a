/** `npm run rotate-seals`: replaces the key of the seals, while tenants are served. */

import { rotateSeals } from '../control_plane/keys/rotate_seals.ts';
import { limits } from '../limits.ts';
import { openServices } from '../services.ts';
import { assertNoMore } from './arguments.ts';
import { print, printJson, runCommand } from './command.ts';
import { Progress } from './progress.ts';

await runCommand({
  open: openServices,
  usage: 'Usage: npm run rotate-seals [-- --json]',
  options: { json: { type: 'boolean' } },
  parse: ({ positionals, values: { json = false } }) => {
    assertNoMore(positionals);
    return async ({ fleet, jobLocks }) => {
      const progress = new Progress(process.stderr, () => performance.now());
      const steps: string[] = [];
      await rotateSeals(fleet, jobLocks, {
        ...limits.seals,
        onProgress: (step) => {
          progress.end();
          if (json) steps.push(step);
          else print(step);
        },
        onWait: (leftMs) => progress.waiting('waiting for every process', leftMs),
      }).finally(() => progress.end());
      if (json) printJson({ steps });
      return 0;
    };
  },
});
