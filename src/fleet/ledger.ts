/**
 * Brings one schema up to date. Each migration runs in a transaction of its own together with its
 * row in the schema's ledger, so it is there entirely or not at all.
 */
import type { Lane } from '../postgres/lane.ts';
import type { Migration } from './migration_files.ts';

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
  /** Told of each migration once it is there. */
  onApplied: (migration: Migration) => Promise<void>;
};

/** For schemas whose own ledger is all that anybody asks. */
export const nobodyIsTold = async (): Promise<void> => {};

export type LedgerRow = { version: number; checksum: string };

/**
 * Applies what is missing, in order.
 *
 * @returns the version that the schema has now.
 * @throws {Error} when an applied file was edited since, or when a migration fails.
 */
export async function upgrade(lane: Lane, upgrade: Upgrade): Promise<number> {
  const { schema, owner, migrations } = upgrade;
  await lane.script(
    `begin; set local role "${owner}"; set local client_min_messages = warning;
     ${ledgerTable(schema)}
     commit`,
  );
  const applied = await readLedger(lane, schema, owner);
  assertUnedited(applied, migrations);
  const last = applied.at(-1)?.version ?? 0;
  for (const migration of migrations.slice(last)) {
    await apply(lane, upgrade, migration);
    await upgrade.onApplied(migration);
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
export function readLedger(lane: Lane, schema: string, owner: string): Promise<LedgerRow[]> {
  return lane.transaction(
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
        `Cannot migrate: "${file.name}" (${version}) was edited after it had been applied`,
      );
    }
  }
}

async function apply(lane: Lane, upgrade: Upgrade, migration: Migration): Promise<void> {
  const { schema, owner, roles, lockTimeoutMs, hardening = '' } = upgrade;
  const { version, name, checksum, text } = migration;
  await lane.script(
    `begin; set local role "${owner}"; set local search_path = "${schema}";
     set local lock_timeout = ${lockTimeoutMs};
     ${withRoles(text, roles)};
     ${hardening};
     insert into "${schema}".migrations (version, name, checksum)
     values (${version}, '${name}', '${checksum}');
     commit`,
  );
}

/** Fills in `:"name"`, as psql does with its variables. */
export function withRoles(text: string, roles: Readonly<Record<string, string>>): string {
  return text.replaceAll(/:"([a-z]+)"/g, (_match, name: string) => {
    const role = roles[name];
    if (role === undefined) throw new Error(`Cannot fill in :"${name}": no role has that name`);
    return `"${role}"`;
  });
}
