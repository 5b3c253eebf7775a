/** `npm run psql [-- ARGUMENTS]`: psql as the administrator, also when nothing else runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readConfig } from '../config.ts';
import { openDatabase } from '../database.ts';
import { psqlVariables, withoutConnection } from './psql_variables.ts';

const database = await openDatabase(readConfig(process.env));
// Whoever interrupts means a statement; psql ends by itself.
process.on('SIGINT', () => {});
try {
  const psql = spawn('psql', process.argv.slice(2), {
    stdio: 'inherit',
    env: { ...withoutConnection(process.env), ...psqlVariables(database.adminUrl) },
  });
  const [code] = await once(psql, 'exit');
  process.exitCode = typeof code === 'number' ? code : 1;
} catch {
  process.stderr.write(
    'kennel: Cannot run psql: it is not on the PATH (package postgresql-client)\n',
  );
  process.exitCode = 1;
} finally {
  await database.release();
}
