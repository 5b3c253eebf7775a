/** Runs several test files in one process, one behind the other: Node 20 cannot. */
import { it } from 'node:test';
import { pathToFileURL } from 'node:url';

for (const file of process.argv.slice(2)) {
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    it(`imports ${file}`, () => {
      throw error;
    });
  }
}
