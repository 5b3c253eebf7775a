/** The migrations of `sql/tenant`, of which there may be more than the tests know, and one more in a copy of them. */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The version of a tenant that has all files of `sql/tenant`. */
export const newestVersion = countIn('sql');

/**
 * Writes the next migration into a copy of `sql`.
 *
 * @returns its path.
 */
export async function addMigration(sqlFolder: string, name: string, text: string): Promise<string> {
  const number = String(countIn(sqlFolder) + 1).padStart(3, '0');
  const file = join(sqlFolder, 'tenant', `${number}_${name}.sql`);
  await writeFile(file, text);
  return file;
}

function countIn(sqlFolder: string): number {
  return readdirSync(join(sqlFolder, 'tenant')).length;
}
