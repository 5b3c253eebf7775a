/** What the migrations of `sql/tenant` were when they were first applied, to whichever tenant. */
import type { Sql } from '../../kernel/ports.ts';
import { type Migration, requiredBy } from './migration_files.ts';
import { assertUnedited, type LedgerRow } from './schema_migrator.ts';

/** @throws {Error} when a file that has been applied anywhere is another one now. */
export async function assertFilesUnedited(
  control: Sql,
  files: readonly Migration[],
): Promise<void> {
  const applied = await control<LedgerRow>`
    select version, checksum from control.tenant_migrations order by version`;
  assertUnedited(applied, files);
}

/** Remembers a file as it is, and what it needs of servers, unless it was applied before. */
export async function recordFile(sql: Sql, file: Migration): Promise<void> {
  await sql`
    insert into control.tenant_migrations (version, checksum, required_version)
    values (${file.version}, ${file.checksum}, ${requiredBy([file])})
    on conflict do nothing`;
}
