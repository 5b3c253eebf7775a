/** Saves an archive of some chunks: `FILE` and the bytes of each chunk. After a chunk of 0 bytes it hangs. */
import { setTimeout as pause } from 'node:timers/promises';
import { saveArchive } from '../../src/control_plane/archive/archive_file.ts';

const [file = '', ...sizes] = process.argv.slice(2);

async function* chunks(): AsyncGenerator<Buffer> {
  for (const size of sizes.map(Number)) {
    if (size === 0) await pause(600_000);
    yield Buffer.alloc(size, 1);
  }
}

await saveArchive(file, chunks()).catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
