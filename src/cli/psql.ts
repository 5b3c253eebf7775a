/** `npm run psql [-- ARGUMENTS]`: psql as the administrator. Starts the embedded Postgres if needed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readConfig } from '../config.ts';
import { readServerUrls } from '../control_plane/servers/server_urls.ts';
import { mainServer } from '../kernel/tenant.ts';
import { limits } from '../limits.ts';
import { openDatabase } from '../open_database.ts';
import { Connection } from '../postgres/connection.ts';
import { databaseOf, rolesOf } from '../postgres/installation.ts';
import { asksForHelp, UsageError } from './arguments.ts';
import { print, report } from './command.ts';
import { psqlVariables, withoutConnection } from './psql_variables.ts';

const usage = `Usage: npm run psql [-- ARGUMENTS OF PSQL]
       npm run psql -- -d DATABASE          in a tenant's own database
       npm run psql -- --server NAME …      on another server; --server is the first word`;

async function runPsql(args: readonly string[]): Promise<number> {
  if (asksForHelp(args)) {
    print(usage);
    return 0;
  }
  const { server, rest } = wordsOf(args);
  const database = await openDatabase(readConfig(process.env));
  // Ctrl-C cancels a statement in psql, and must not end this process.
  process.on('SIGINT', () => {});
  try {
    const url = server === null ? database.adminUrl : await urlOf(server, database.adminUrl);
    const psql = spawn('psql', rest, {
      stdio: 'inherit',
      env: { ...withoutConnection(process.env), ...psqlVariables(url) },
    });
    const [code] = await once(psql, 'exit').catch(() => {
      throw new Error('Cannot run psql: it is not on the PATH (package postgresql-client)');
    });
    return typeof code === 'number' ? code : 1;
  } finally {
    await database.release();
  }
}

/** All further words are psql's. @throws {UsageError} when the name is missing. */
function wordsOf(args: readonly string[]): { server: string | null; rest: readonly string[] } {
  const [first, server, ...rest] = args;
  if (first !== '--server') return { server: null, rest: args };
  if (server === undefined) throw new UsageError('Cannot use --server: NAME is missing');
  return { server, rest };
}

/** @throws {Error} when there is no such server. */
async function urlOf(server: string, adminUrl: string): Promise<string> {
  if (server === mainServer) return adminUrl;
  const connection = await Connection.open(adminUrl, limits.adminConnection);
  try {
    const { owner } = rolesOf(databaseOf(adminUrl));
    const found = (await readServerUrls(connection, owner)).get(server);
    if (found) return found.url;
    throw new Error(`Cannot find "${server}": there is no such server`);
  } finally {
    connection.close();
  }
}

process.exitCode = await runPsql(process.argv.slice(2)).catch(report);
