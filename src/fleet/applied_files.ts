/** What the migrations of `sql/tenant` were when they were first applied, to whichever tenant. */
import type { Db } from '../kernel/ports.ts';
import { assertUnedited, type LedgerRow } from './ledger.ts';
import type { Migration } from './migration_files.ts';

/** @throws {Error} when a file that has been applied anywhere is another one now. */
export async function assertFilesUnedited(control: Db, files: readonly Migration[]): Promise<void> {
  const applied = await control<LedgerRow>`
    select version, checksum from control.tenant_migrations order by version`;
  assertUnedited(applied, files);
}

/** Remembers the files as they are, for those that were not applied before. */
export async function recordFiles(control: Db, files: readonly Migration[]): Promise<void> {
  const rows = files.map(({ version, checksum }) => ({ version, checksum }));
  await control`
    insert into control.tenant_migrations (version, checksum)
    select version, checksum
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as file (
      version integer, checksum text
    )
    on conflict do nothing`;
}
