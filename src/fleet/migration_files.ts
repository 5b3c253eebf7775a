/**
 * Reads a folder of migrations: `001_name.sql`, `002_name.sql`, … A file that has been applied
 * anywhere may never change again; its checksum stands in every ledger.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type Migration = { version: number; name: string; checksum: string; text: string };

const fileName = /^(\d{3})_([a-z0-9_]+)\.sql$/;

/** @throws {Error} when a file's name does not fit or a number is missing. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map((name, index) => readMigration(folder, name, index + 1)));
}

async function readMigration(folder: string, file: string, expected: number): Promise<Migration> {
  const [, digits, name] = fileName.exec(file) ?? [];
  if (!digits || !name || Number(digits) !== expected) {
    const wanted = String(expected).padStart(3, '0');
    throw new Error(`Cannot read migrations: expected "${wanted}_<name>.sql", found "${file}"`);
  }
  const text = await readFile(join(folder, file), 'utf8');
  return { version: expected, name, checksum: digestOf(text), text };
}

/** Line ends do not count: a checkout on another system is no edit. */
function digestOf(text: string): string {
  return createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
}
