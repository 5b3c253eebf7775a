/**
 * The rates that Postgres reaches when it is sent the changes of a fleet and nothing else: no lock, no
 * ledger that is read, no registry, no round trip between two statements.
 */
import { statementsIn } from '../../src/control_plane/migrations/migration_files.ts';
import { ledgerTable } from '../../src/control_plane/migrations/schema_migrator.ts';
import { restricting } from '../../src/control_plane/provisioning/tenant_tables.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import type { Services } from '../../src/services.ts';

export type Counted = { count: number; sessions: number };

type Alone = (services: Services, counted: Counted) => Promise<string>;

/** A shared tenant takes three transactions: its claim, its pet, its activation. */
export const commitsAlone: Alone = async ({ fleet }, counted) => {
  await run({ fleet }, { count: 1, sessions: 1 }, () => 'create table public.commits (at int)');
  const commit = 'insert into public.commits values (1)';
  const rate = await run({ fleet }, counted, () => commit);
  return `${Math.round(rate / 3)} (three commits)`;
};

/** All statements of a tenant's schema in one transaction and one message. */
export const schemasAlone: Alone = async ({ fleet }, counted) => {
  const { owner, app } = fleet.installation.roles;
  const statements = fleet.sql.tenant.flatMap((file) => statementsIn(file, { app })).join(';\n');
  const rate = await run({ fleet }, counted, (at) => {
    const schema = `alone_${at}`;
    return `begin; create schema ${schema} authorization "${owner}"; set local role "${owner}";
      set local search_path = ${schema}; grant usage on schema ${schema} to "${app}";
      ${ledgerTable(schema)} ${statements}; ${restricting([schema], app)}; commit`;
  });
  return `${Math.round(rate)} (the schema alone)`;
};

/** Copies of the template, by each strategy. */
export const databasesAlone: Alone = async ({ fleet }, counted) => {
  const { database } = fleet.installation;
  const rates: string[] = [];
  for (const strategy of ['wal_log', 'file_copy']) {
    const name = (at: number) => `"${database}_${strategy}_${at}"`;
    const rate = await run(
      { fleet },
      counted,
      (at) => `create database ${name(at)} template template0 strategy ${strategy}`,
    );
    await run({ fleet }, { ...counted, sessions: 1 }, (at) => `drop database ${name(at)}`);
    rates.push(`${Math.round(rate)} (${strategy})`);
  }
  return `create database: ${rates.join(', ')}`;
};

/** One column and one row for each schema, in a transaction and a message of its own. */
export const columnsAlone: Alone = async ({ fleet, control }, counted) => {
  const rows = await control<{ name: string }>`
    select 't_' || replace(id::text, '-', '') as name from control.tenants
    where isolation = 'schema'`;
  const rate = await run({ fleet }, { ...counted, count: rows.length }, (at) => {
    const schema = rows[at]?.name;
    return `begin; alter table "${schema}".pets add column alone text;
      update "${schema}".migrations set name = name where version = 1; commit`;
  });
  return `${Math.round(rate)} (column and ledger row)`;
};

/** Sends a script for each number, and returns the rate per second. */
async function run(
  { fleet: { installation } }: Pick<Services, 'fleet'>,
  { count, sessions }: Counted,
  script: (at: number) => string,
): Promise<number> {
  const target = installation.adminTarget(installation.main);
  const open = () => Connection.open(target, limits.adminConnection);
  const connections = await Promise.all(Array.from({ length: sessions }, open));
  let next = 0;
  const startedMs = performance.now();
  await Promise.all(
    connections.map(async (connection) => {
      for (let at = next++; at < count; at = next++) await connection.script(script(at));
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const connection of connections) connection.close();
  return count / seconds;
}
