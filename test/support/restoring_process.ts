/**
 * Restores a tenant, `SLUG FILE STEP`, in the database of `DATABASE_URL`, and kills itself after the step. Without
 * arguments it recovers the moves and restores of other processes.
 */
import { readConfig } from '../../src/config.ts';
import { restoreTenant } from '../../src/control_plane/archive/restore_tenant.ts';
import { openServices } from '../../src/services.ts';
import { slugOf } from './more_tables.ts';

const [slug, file = '', last = ''] = process.argv.slice(2);
const { DATABASE_URL = '' } = process.env;
const services = await openServices(readConfig({ DATABASE_URL }), DATABASE_URL, {
  installs: 'never',
});
const { archives, exports, moves, pools } = services;
try {
  if (slug === undefined) await moves.recover();
  else await restore(slug);
} finally {
  services.close();
}

async function restore(name: string): Promise<void> {
  const parts = { archives, exports, moves, serving: pools.serving, now: () => new Date() };
  await restoreTenant(parts, {
    ...{ file, slug: slugOf(name), onProgress: () => {} },
    onStep: (step) => {
      if (step === last) process.kill(process.pid, 'SIGKILL');
    },
  });
}
