/**
 * The rates that Postgres reaches when it is sent the changes of a fleet and nothing else: no lock, no
 * ledger that is read, no registry, no round trip between two statements.
 */
import { statementsIn } from '../../src/control_plane/migrations/migration_files.ts';
import { ledgerTable } from '../../src/control_plane/migrations/schema_migrator.ts';
import { templateOf } from '../../src/control_plane/provisioning/database_template.ts';
import { restricting } from '../../src/control_plane/provisioning/tenant_tables.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import type { Services } from '../../src/services.ts';

export type Counted = { count: number; sessions: number };

type Alone = (services: Services, counted: Counted) => Promise<string>;

/** A shared tenant takes three transactions: its claim, its pet, its activation. */
export const commitsAlone: Alone = async ({ fleet }, counted) => {
  await run(
    { fleet },
    { count: 1, sessions: 1 },
    sending(() => 'create table public.commits (at int)'),
  );
  const commit = 'insert into public.commits values (1)';
  const rate = await run(
    { fleet },
    counted,
    sending(() => commit),
  );
  return `${Math.round(rate / 3)} (three commits)`;
};

/** All statements of a tenant's schema in one transaction and one message. */
export const schemasAlone: Alone = async ({ fleet }, counted) => {
  const { owner, app } = fleet.installation.roles;
  const statements = fleet.sql.tenant.flatMap((file) => statementsIn(file, { app })).join(';\n');
  const script = (at: number) => {
    const schema = `alone_${at}`;
    return `begin; create schema ${schema} authorization "${owner}"; set local role "${owner}";
      set local search_path = ${schema}; grant usage on schema ${schema} to "${app}";
      ${ledgerTable(schema)} ${statements}; ${restricting([schema], app)}; commit`;
  };
  const rate = await run({ fleet }, counted, sending(script));
  return `${Math.round(rate)} (the schema alone)`;
};

/** Copies of the template, by each strategy; and with the two sessions that a new database needs. */
export const databasesAlone: Alone = async ({ fleet }, counted) => {
  const { installation } = fleet;
  const copy = (strategy: string) => async (connection: Connection, at: number) => {
    const name = `${installation.database}_${strategy}_${at}`;
    const source = templateOf(installation);
    await connection.script(`create database "${name}" template "${source}" strategy ${strategy}`);
    return installation.adminUrlOf({ ...installation.main, database: name });
  };
  const withSessions = async (connection: Connection, at: number) => {
    const url = await copy('wal_log')(connection, at);
    for (let session = 0; session < 2; session += 1) {
      (await Connection.open(url, limits.adminConnection)).close();
    }
  };
  const rateOf = async (strategy: string, work: Work) => {
    const rate = await run({ fleet }, counted, work);
    await run({ fleet }, { ...counted, sessions: 1 }, (connection, at) =>
      connection.script(`drop database "${installation.database}_${strategy}_${at}" with (force)`),
    );
    return Math.round(rate);
  };
  const [walLog, fileCopy, both] = [
    await rateOf('wal_log', copy('wal_log')),
    await rateOf('file_copy', copy('file_copy')),
    await rateOf('wal_log', withSessions),
  ];
  return `copy: ${walLog} (wal_log), ${fileCopy} (file_copy); with two sessions: ${both}`;
};

/** One column and one row for each schema, in a transaction and a message of its own. */
export const columnsAlone: Alone = async ({ fleet, control }, counted) => {
  const rows = await control<{ name: string }>`
    select 't_' || replace(id::text, '-', '') as name from control.tenants
    where isolation = 'schema'`;
  const script = (at: number) => {
    const schema = rows[at]?.name;
    return `begin; alter table "${schema}".pets add column alone text;
      update "${schema}".migrations set name = name where version = 1; commit`;
  };
  const rate = await run({ fleet }, { ...counted, count: rows.length }, sending(script));
  return `${Math.round(rate)} (column and ledger row)`;
};

type Work = (connection: Connection, at: number) => Promise<unknown>;

/** Sends a script. */
const sending =
  (script: (at: number) => string): Work =>
  (connection, at) =>
    connection.script(script(at));

/** Does the work for each number, and returns the rate per second. */
async function run(
  { fleet: { installation } }: Pick<Services, 'fleet'>,
  { count, sessions }: Counted,
  work: Work,
): Promise<number> {
  const url = installation.adminUrlOf(installation.main);
  const open = () => Connection.open(url, limits.adminConnection);
  const connections = await Promise.all(Array.from({ length: sessions }, open));
  let next = 0;
  const startedMs = performance.now();
  await Promise.all(
    connections.map(async (connection) => {
      for (let at = next++; at < count; at = next++) await work(connection, at);
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const connection of connections) connection.close();
  return count / seconds;
}
