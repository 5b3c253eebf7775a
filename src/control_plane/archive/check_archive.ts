/** Checks a whole archive without a database, and keeps its users, settings and keys. */
import { type Rest, restless } from '../pace.ts';
import { bytesOf } from './archive_file.ts';
import type { ArchivesLimits } from './export_tenant.ts';
import { type ArchivedTable, type ArchiveHeader, isPlain, unreadable } from './format.ts';
import { ArchiveReader } from './read_archive.ts';

/** The lines of each table of the account, by its name. */
export type AccountRows = ReadonlyMap<string, { table: ArchivedTable; lines: string[] }>;

export type CheckedArchive = {
  header: ArchiveHeader;
  account: AccountRows;
  /** The first user with the role admin. */
  admin: { id: string; email: string };
};

/** @throws {Error} when the file is not a whole and unchanged archive of a tenant with an admin. */
export async function checkArchive(
  file: string,
  limits: ArchivesLimits,
  rest: Rest = restless,
): Promise<CheckedArchive> {
  const reader = await ArchiveReader.open(bytesOf(file), limits);
  try {
    const { header } = reader;
    const account = new Map(
      header.account.map((table) => [table.name, { table, lines: [] as string[] }]),
    );
    const rows = header.account.reduce((sum, table) => sum + table.rows, 0);
    if (rows > limits.accountRows) {
      throw unreadable(`it has more than ${limits.accountRows} users and settings`);
    }
    let bytes = 0;
    for await (const { part, table, lines } of reader.rows()) {
      if (part === 'account') {
        bytes += lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
        if (bytes > limits.accountBytes) {
          throw unreadable(`its users and settings have more than ${limits.accountBytes} bytes`);
        }
        account.get(table.name)?.lines.push(...lines);
      }
      await rest();
    }
    return { header, account, admin: firstAdminOf(account) };
  } finally {
    await reader.close();
  }
}

/** Looks at every user. @throws {Error} when none is an admin, or an address has control characters. */
function firstAdminOf(account: AccountRows): CheckedArchive['admin'] {
  const users = account.get('users');
  let admin: CheckedArchive['admin'] | null = null;
  for (const line of users?.lines ?? []) {
    const row: (string | null)[] = JSON.parse(line);
    const value = (column: string) => row[users?.table.columns.indexOf(column) ?? -1] ?? '';
    const email = value('email');
    if (!isPlain(email)) throw unreadable('the email of a user has control characters');
    if (value('role') === 'admin') admin ??= { id: value('id'), email };
  }
  if (admin) return admin;
  throw unreadable('it has no user with the role "admin"');
}
