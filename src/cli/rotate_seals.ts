/** `npm run rotate-seals`: replaces the key of the sealed context, while tenants are being served. */
import { parseArgs } from 'node:util';
import { bounds } from '../config.ts';
import { rotateSeals } from '../fleet/rotate_seals.ts';
import { print, runCommand } from './command.ts';

await runCommand('Usage: npm run rotate-seals', () => {
  parseArgs({ options: {} });
  return async ({ fleet, jobs }) => {
    await rotateSeals(fleet, jobs, { ...bounds.seals, onProgress: print });
    return 0;
  };
});
