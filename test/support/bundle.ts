/**
 * Joins each program of `src` and all that it imports, packages too, to one file. The tests start hundreds of
 * processes, and to load three hundred files costs one more than all its work.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin, stop } from 'esbuild';

/** @param folder of the compiled project. Its programs are replaced by their bundles. */
export async function bundlePrograms(folder: string): Promise<void> {
  await build({
    entryPoints: (await programs()).map((script) => join(folder, script.replace(/ts$/, 'js'))),
    ...{ outdir: join(folder, 'src'), outbase: join(folder, 'src'), allowOverwrite: true },
    ...{ bundle: true, format: 'esm', platform: 'node', target: 'node20' },
    sourcemap: true,
    // Packages that are CommonJS modules call it.
    banner: {
      js: `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`,
    },
    plugins: [ownUrls],
  });
  await stop();
}

/** Returns the scripts of `src` that `npm run` starts. */
async function programs(): Promise<string[]> {
  return (await readFile('package.json', 'utf8')).match(/\bsrc\/\w+(\/\w+)*\.ts/g) ?? [];
}

/** Files are found beside the module that names them, so each module keeps its URL. */
const ownUrls: Plugin = {
  name: 'own URLs',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path))) };
    }),
};
