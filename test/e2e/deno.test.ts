/** Deno runs the same files. It is found on the PATH, or where `DENO` says. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { curlLines, paste } from '../support/demo_lines.ts';
import { type Kennel, startProgram } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { findProgram, reportMissing } from '../support/programs.ts';
import { runProcess } from '../support/run_command.ts';

const deno = process.env.DENO || findProgram('deno');

if (deno === undefined) reportMissing('Deno', 'deno is not on the PATH');
else {
  describe('under Deno', () => {
    let folder: string;
    let database: TestDatabase;
    let kennel: Kennel;

    before(async () => {
      // For what it compiles; nothing is written outside the tests' folder.
      folder = await mkdtemp(join(tmpdir(), 'kennel-deno-'));
      database = await testDatabase();
      const variables = { DEMO: '1', DENO_DIR: folder };
      kennel = await startProgram([deno, 'run', '-A', 'src/main.ts'], database.url, variables);
    });

    after(async () => {
      await kennel.stop();
      await database.drop();
      await rm(folder, { recursive: true });
    });

    it('the types are right', async () => {
      const words = ['check', '--quiet', 'src/main.ts'];
      const { code, err } = await runProcess(deno, words, { DENO_DIR: folder, NO_COLOR: '1' });
      assert.deepEqual({ code, err }, { code: 0, err: '' });
    });

    it('each printed line works when pasted', async () => {
      for (const line of await curlLines(kennel)) {
        assert.deepEqual(await paste(line), ['Sample Pet']);
      }
    });

    it('a signal ends the server in order', async () => {
      kennel.signal('SIGTERM');
      const { code, stdout, stderr } = await kennel.ended;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /"msg":"stopped"/);
    });
  });
}
