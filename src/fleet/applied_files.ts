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

/** Remembers a file as it is, unless it was applied before. */
export async function recordFile(control: Db, { version, checksum }: Migration): Promise<void> {
  await control`
    insert into control.tenant_migrations (version, checksum)
    values (${version}, ${checksum})
    on conflict do nothing`;
}
