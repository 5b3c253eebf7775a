/**
 * Moves a tenant, `SLUG MODE AT`, in the database of `DATABASE_URL`, and hangs while rows are copied (`copying`), or as
 * soon as its writes are stopped (`stopped`). Says so
 * before, and what became of the move when it has been woken.
 */
import { writeSync } from 'node:fs';
import { readConfig } from '../../src/config.ts';
import { parseSlug } from '../../src/kernel/tenant.ts';
import { openServices } from '../../src/services.ts';
import { moverOf } from './mover.ts';

const [slug = '', to = '', at = ''] = process.argv.slice(2);
const parsed = parseSlug(slug);
if (!parsed) throw new Error(`Cannot move "${slug}": it is no slug`);
const { DATABASE_URL = '' } = process.env;
const services = await openServices(readConfig({ DATABASE_URL }), DATABASE_URL);
const { moves, kill } = moverOf(services, services.control, { lockSilenceMs: 3_000 });
const { finished } = await moves.begin(
  { slug: parsed, to, requestId: null },
  {
    onStep: (step) => {
      if (step === 'writes stopped' && at === 'stopped') hang();
    },
    // The snapshot of the copy is open.
    onRows: () => {
      if (at === 'copying') hang();
    },
  },
);
writeSync(1, await finished.then(({ state }) => state, String));
kill();
services.close();

function hang(): void {
  writeSync(1, 'hangs\n');
  process.kill(process.pid, 'SIGSTOP');
}
