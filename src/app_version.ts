/** The version of Kennel, from package.json. */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';

const packageJson = v.object({ version: v.string() });

/** Returns the version in `package.json`. @throws {Error} when the file cannot be read or has none. */
export async function readAppVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return v.parse(packageJson, JSON.parse(text)).version;
}
