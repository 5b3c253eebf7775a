/**
 * Brings one schema up to date. Each migration runs in a transaction of its own together with its
 * row in the schema's ledger, so it is there entirely or not at all. Its statements run in a session that
 * is nobody but the owner: what a file says can make it no administrator.
 */
import type { Connection } from '../../postgres/connection.ts';
import { fileNameOf, type Migration, statementsIn } from './migration_files.ts';

export type Upgrade = {
  schema: string;
  /** The role that owns what the migrations make. */
  owner: string;
  /** What `:"name"` stands for in the files. */
  roles: Readonly<Record<string, string>>;
  migrations: readonly Migration[];
  /** What each migration ends with, in its transaction, as the owner. */
  hardening?: string;
  /** How long one statement may wait for a lock; who waits longer makes everybody else wait. */
  lockTimeoutMs: number;
  /** Lends a session of the migrations' own login, in the database of the schema. */
  migrating: (work: (connection: Connection) => Promise<void>) => Promise<void>;
  /** Told of each migration once it is there. */
  onApplied: (migration: Migration) => Promise<void>;
};

/** For schemas whose own ledger is all that anybody asks. */
export const nobodyIsTold = async (): Promise<void> => {};

export type LedgerRow = { version: number; checksum: string };

/** A migration with the texts that are run. */
type Prepared = Omit<Migration, 'statements'> & { statements: string[] };

/**
 * Applies what is missing, in order.
 *
 * @returns the version that the schema has now.
 * @throws {Error} when an applied file was edited since, or when a migration fails.
 */
export async function upgrade(connection: Connection, upgrade: Upgrade): Promise<number> {
  const { schema, owner, roles, migrations } = upgrade;
  await connection.script(
    `begin; set local role "${owner}"; set local client_min_messages = warning;
     ${ledgerTable(schema)}
     commit`,
  );
  const applied = await readLedger(connection, schema, owner);
  assertUnedited(applied, migrations);
  const last = applied.at(-1)?.version ?? 0;
  const missing = migrations
    .slice(last)
    .map((migration) => ({ migration, statements: statementsIn(migration, roles) }));
  if (missing.length > 0) {
    await upgrade.migrating(async (migrating) => {
      for (const { migration, statements } of missing) {
        await apply(migrating, upgrade, { ...migration, statements });
        await upgrade.onApplied(migration);
      }
    });
  }
  return Math.max(last, migrations.length);
}

/** Makes the ledger of a schema, unless it is there. */
export function ledgerTable(schema: string): string {
  return `create table if not exists "${schema}".migrations (
    version integer primary key, name text not null, checksum text not null,
    applied_at timestamptz not null default now());`;
}

/** What has been applied to a schema, in order. */
export function readLedger(
  connection: Connection,
  schema: string,
  owner: string,
): Promise<LedgerRow[]> {
  return connection.transaction(
    `begin read only; set local role "${owner}"; set local search_path = "${schema}"`,
    (sql) => sql<LedgerRow>`select version, checksum from migrations order by version`,
  );
}

/** @throws {Error} when a file that has been applied is another one now. */
export function assertUnedited(applied: LedgerRow[], migrations: readonly Migration[]): void {
  for (const { version, checksum } of applied) {
    const file = migrations[version - 1];
    if (file && file.checksum !== checksum) {
      throw new Error(
        `Cannot use this database: "${fileNameOf(file)}" is not the file that it was made with; restore that file, or use a new database`,
      );
    }
  }
}

async function apply(
  connection: Connection,
  { schema, owner, lockTimeoutMs, hardening = '' }: Upgrade,
  { version, name, checksum, statements }: Prepared,
): Promise<void> {
  // A file may have put off the role and chosen another path.
  const asOwner = `set local role "${owner}"; set local search_path = "${schema}"`;
  await connection.scripts(
    `begin; set local client_min_messages = warning; set local lock_timeout = ${lockTimeoutMs};
     ${asOwner}`,
    statements,
    `${asOwner};
     ${hardening};
     insert into "${schema}".migrations (version, name, checksum)
     values (${version}, '${name}', '${checksum}');
     commit`,
  );
}
