/** `npm run psql [-- ARGUMENTS]`: psql as the administrator. Starts the embedded Postgres if needed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readConfig } from '../config.ts';
import { openDatabase } from '../open_database.ts';
import { asksForHelp } from './arguments.ts';
import { print, report } from './command.ts';
import { psqlVariables, withoutConnection } from './psql_variables.ts';

const usage = `Usage: npm run psql [-- ARGUMENTS OF PSQL]
       npm run psql -- -d DATABASE          in a tenant's own database`;

async function runPsql(args: readonly string[]): Promise<number> {
  if (asksForHelp(args)) {
    print(usage);
    return 0;
  }
  const database = await openDatabase(readConfig(process.env));
  // Ctrl-C cancels a statement in psql, and must not end this process.
  process.on('SIGINT', () => {});
  try {
    const psql = spawn('psql', args, {
      stdio: 'inherit',
      env: { ...withoutConnection(process.env), ...psqlVariables(database.adminUrl) },
    });
    const [code] = await once(psql, 'exit').catch(() => {
      throw new Error('Cannot run psql: it is not on the PATH (package postgresql-client)');
    });
    return typeof code === 'number' ? code : 1;
  } finally {
    await database.release();
  }
}

process.exitCode = await runPsql(process.argv.slice(2)).catch(report);
