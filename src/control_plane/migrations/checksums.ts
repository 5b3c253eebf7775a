/** The checksums that the migrations of `sql/tenant` had when they were first applied to any tenant. */
import type { Sql } from '../../kernel/ports.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { assertUnedited, type LedgerRow } from './schema_migrator.ts';

/**
 * Returns the versions that have been applied to any tenant.
 *
 * @throws {Error} when a file was edited since.
 */
export async function assertFilesUnedited(
  control: Sql,
  files: readonly Migration[],
): Promise<ReadonlySet<number>> {
  const applied = await control<LedgerRow>`
    select version, checksum from control.tenant_migrations order by version`;
  assertUnedited(applied, files);
  return new Set(applied.map(({ version }) => version));
}

/** Records the checksum and the required version of a file, unless it was applied before. */
export async function recordFile(sql: Sql, file: Migration): Promise<void> {
  await sql`
    insert into control.tenant_migrations (version, checksum, required_version)
    values (${file.version}, ${file.checksum}, ${requiredBy([file])})
    on conflict do nothing`;
}
