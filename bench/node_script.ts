/**
 * How Node runs a script of this project: as `npm test` compiled it, which starts in a third of the
 * time, or from its source if one test file is run alone.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));
const isCompiled = import.meta.url.endsWith('.js');

/** Node's own arguments before a script. */
export const loader: readonly string[] = isCompiled
  ? []
  : ['--import', join(folder, 'src/typescript.mjs')];

/** @param script from the project's folder, as `src/main.ts`. */
export function scriptFile(script: string): string {
  return join(folder, isCompiled ? script.replace(/\.ts$/, '.js') : script);
}

/** Node's arguments for a script. */
export function nodeScript(script: string): string[] {
  return [...loader, scriptFile(script)];
}
