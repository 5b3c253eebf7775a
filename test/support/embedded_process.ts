/** A process that uses the embedded Postgres in the folder that it is given. */
import { startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { testLimits, unsafeButFast } from './test_cluster.ts';

const [, , folder = ''] = process.argv;
const { url, adopted, warning, stop } = await startEmbedded({
  folder,
  settings: unsafeButFast,
  limits: testLimits,
});
process.once('SIGTERM', stop);
process.stdout.write(`${JSON.stringify({ url, adopted, warning })}\n`);
