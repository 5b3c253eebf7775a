/**
 * How Node runs a script of this project: as `npm test` compiled it, which starts in a third of the
 * time, or by tsx if one test file is run alone from its source.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../..', import.meta.url));
const isCompiled = import.meta.url.endsWith('.js');

/** @param script from the project's folder, as `src/main.ts`. @returns Node's arguments. */
export function nodeScript(script: string): string[] {
  const path = join(folder, script);
  return isCompiled ? [path.replace(/\.ts$/, '.js')] : ['--import', 'tsx', path];
}
