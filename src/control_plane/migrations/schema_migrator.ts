/**
 * Brings schemas up to date. Each migration and its row in the schema's ledger are one transaction, so
 * a migration is applied completely or not at all. Its statements run in a session that can become the
 * owner only, so that no file gets the administrator's rights.
 */
import type { Connection } from '../../postgres/connection.ts';
import { causeOf, codeOf } from '../../postgres/errors.ts';
import { fileNameOf, type Migration, statementsIn } from './migration_files.ts';

export type Upgrade = {
  /** The owner of all objects that the migrations create. */
  owner: string;
  /** The values of `:"name"` in the files. */
  roles: Readonly<Record<string, string>>;
  migrations: readonly Migration[];
  /**
   * SQL at the end of each migration, in its transaction, as the owner: raises an error for a faulty table, and
   * sets rights.
   */
  restrictions?: (schemas: readonly string[]) => string;
  /** How long one statement may wait for a lock: meanwhile later requests for the table wait too. */
  lockTimeoutMs: number;
  /** How long one statement may take; by default as long as the session allows. */
  statementTimeoutMs?: number;
  /** After this time no further schema is begun in the same transaction, and all of it is undone. */
  transactionTimeoutMs?: number;
  /** Versions that other schemas have. In a new schema these are applied together if they only add. */
  known?: ReadonlySet<number>;
  /** Runs `work` with a session of the migrations' login, in the database of the schema. */
  migrating: (work: (connection: Connection) => Promise<void>) => Promise<void>;
  /** Called after each applied migration. */
  onApplied: (migration: Migration) => Promise<void>;
};

/** An `onApplied` for schemas that are recorded in their own ledger only. */
export const ignore = async (): Promise<void> => {};

export type LedgerRow = { version: number; checksum: string };

/** A migration whose statements have their variables filled in. */
type Prepared = { migration: Migration; statements: string[] };

/**
 * Applies the pending migrations in order.
 *
 * @returns the version that the schema has now.
 * @throws {Error} when an applied file was edited since, or when a migration fails.
 */
export async function upgrade(
  connection: Connection,
  schema: string,
  upgrade: Upgrade,
): Promise<number> {
  const { owner, migrations } = upgrade;
  const applied = await openLedger(connection, schema, owner);
  assertUnedited(applied, migrations);
  const last = applied.at(-1)?.version ?? 0;
  const missing = preparedFrom(last, upgrade);
  if (missing.length === 0) return last;
  const groups = last > 0 ? missing.map((one) => [one]) : joined(missing, upgrade.known);
  await applyGroups(schema, upgrade, groups);
  return migrations.length;
}

/**
 * Makes a schema with all migrations, which is a single transaction if other schemas have them and they only add.
 *
 * @param creation SQL that creates the schema and its ledger; the login of the migrations runs it.
 * @returns the version that the schema has then.
 * @throws {Error} when a migration fails.
 */
export async function createUpgraded(
  schema: string,
  creation: string,
  upgrade: Upgrade,
): Promise<number> {
  const groups = joined(preparedFrom(0, upgrade), upgrade.known);
  await applyGroups(schema, upgrade, groups, creation);
  return upgrade.migrations.length;
}

async function applyGroups(
  schema: string,
  upgrade: Upgrade,
  groups: readonly Prepared[][],
  creation = '',
): Promise<void> {
  await upgrade.migrating(async (migrating) => {
    for (const [at, group] of groups.entries()) {
      await apply(migrating, [schema], upgrade, {
        files: group,
        ...(at === 0 && { creation }),
      });
      for (const { migration } of group) await upgrade.onApplied(migration);
    }
  });
}

/**
 * For a new schema: files that only add, and follow each other, are one transaction. A file that no schema has yet
 * is by itself, so that its tables are examined as they are in schemas that exist already.
 */
function joined(
  missing: readonly Prepared[],
  known: ReadonlySet<number> = new Set(),
): Prepared[][] {
  const groups: Prepared[][] = [];
  const mayJoin = ({ migration }: Prepared) => migration.additive && known.has(migration.version);
  for (const one of missing) {
    const before = groups.at(-1);
    const last = before?.at(-1);
    if (before && last && mayJoin(last) && mayJoin(one)) before.push(one);
    else groups.push([one]);
  }
  return groups;
}

/**
 * Applies the pending migrations to several schemas of one version: each migration to all of them in one
 * transaction, or to none.
 *
 * @throws {Error} when it fails for one of them, or one has another version.
 */
export function upgradeTogether(
  schemas: readonly string[],
  version: number,
  upgrade: Upgrade,
): Promise<void> {
  const missing = preparedFrom(version, upgrade);
  return upgrade.migrating(async (migrating) => {
    for (const prepared of missing) {
      await apply(migrating, schemas, upgrade, { files: [prepared] });
      await upgrade.onApplied(prepared.migration);
    }
  });
}

function preparedFrom(version: number, { migrations, roles }: Upgrade): Prepared[] {
  return migrations
    .slice(version)
    .map((migration) => ({ migration, statements: statementsIn(migration, roles) }));
}

/** Reads the ledger, and creates it first if it is missing. */
async function openLedger(
  connection: Connection,
  schema: string,
  owner: string,
): Promise<LedgerRow[]> {
  try {
    return await readLedger(connection, schema, owner);
  } catch (error) {
    if (codeOf(causeOf(error)) !== undefinedTable) throw error;
    await connection.script(
      `begin; set local role "${owner}"; set local client_min_messages = warning;
       ${ledgerTable(schema)}
       commit`,
    );
    return [];
  }
}

const undefinedTable = '42P01';

/** SQL that creates the ledger of a schema, unless it exists. */
export function ledgerTable(schema: string): string {
  return `create table if not exists "${schema}".migrations (
    version integer primary key, name text not null, checksum text not null,
    applied_at timestamptz not null default now());`;
}

/** The migrations that have been applied to a schema, in order. */
export function readLedger(
  connection: Connection,
  schema: string,
  owner: string,
): Promise<LedgerRow[]> {
  const opening = `begin read only; set local role "${owner}"; set local search_path = "${schema}"`;
  const text = 'select version, checksum from migrations order by version';
  return connection.queryIn<LedgerRow>(opening, text);
}

/** @throws {Error} when a file was edited after it had been applied. */
export function assertUnedited(applied: LedgerRow[], migrations: readonly Migration[]): void {
  for (const { version, checksum } of applied) {
    const file = migrations[version - 1];
    if (file && file.checksum !== checksum) {
      throw new Error(
        `Cannot use this database: "${fileNameOf(file)}" was edited after it had been applied; restore the file, or use a new database`,
      );
    }
  }
}

/** Tables stay locked while this process hangs between the statements and the commit. */
const idleMs = 5_000;

async function apply(
  connection: Connection,
  schemas: readonly string[],
  upgrade: Upgrade,
  { files, creation = '' }: { files: readonly Prepared[]; creation?: string },
): Promise<void> {
  const { owner, lockTimeoutMs, statementTimeoutMs, migrations, restrictions } = upgrade;
  const inSchema = (schema = '') => [
    `set local role "${owner}"`,
    `set local search_path = "${schema}"`,
  ];
  const limits = [
    `set local lock_timeout = ${lockTimeoutMs}`,
    `set local idle_in_transaction_session_timeout = ${idleMs}`,
  ];
  if (statementTimeoutMs) limits.push(`set local statement_timeout = ${statementTimeoutMs}`);
  await connection.scripts(
    ['begin', 'set local client_min_messages = warning', ...limits, creation].join('; '),
    schemas.flatMap((schema) =>
      files.flatMap(({ statements }) => [...inSchema(schema), ...deadline(upgrade), ...statements]),
    ),
    // Role and path are set again, because the file may have changed them.
    [
      ...inSchema(schemas[0]),
      restrictions?.(schemas) ?? '',
      ...schemas.flatMap((schema) =>
        files.map(({ migration }) => ledgerRow(schema, migration, migrations)),
      ),
      'commit',
    ].join(';\n'),
  );
}

/** A check between schemas. Postgres has a time limit for transactions since version 17 only. */
function deadline({ transactionTimeoutMs }: Upgrade): string[] {
  if (transactionTimeoutMs === undefined) return [];
  return [
    `do $$ begin
       if clock_timestamp() > transaction_timestamp() + interval '${transactionTimeoutMs} ms' then
         raise exception 'the transaction takes too long';
       end if;
     end $$`,
  ];
}

/** The row has no version, and fails, unless exactly the migrations before it are in the ledger. */
function ledgerRow(
  schema: string,
  { version, name, checksum }: Migration,
  migrations: readonly Migration[],
): string {
  const before = migrations.slice(0, version - 1).map((migration) => `'${migration.checksum}'`);
  return `insert into "${schema}".migrations (version, name, checksum)
    select case
        when coalesce(array_agg(checksum order by version), '{}') = array[${before.join(', ')}]::text[]
          then ${version}
      end, '${name}', '${checksum}'
    from "${schema}".migrations`;
}
