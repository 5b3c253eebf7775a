import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Progress } from '../../src/cli/progress.ts';

/** A sink that keeps its input, and a clock that only the test moves. */
function fixture(isTTY: boolean, phase?: string) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const sink = { isTTY, columns: 40, write: (text: string) => written.push(text) };
  const progress = new Progress(sink, () => clock.ms, phase);
  return { written, clock, progress };
}

describe('Progress', () => {
  it('shows rate and time left on one line of a terminal', () => {
    const { written, clock, progress } = fixture(true);
    clock.ms = 2_000;
    progress.counted(10, 40);
    progress.end();
    assert.deepEqual(written, ['\r\u001b[K10 of 40, 5/s, 6 s left', '\r\u001b[K']);
  });

  it('writes JSON lines when the output is no terminal', () => {
    const { written, clock, progress } = fixture(false);
    clock.ms = 2_000;
    progress.counted(10, 40);
    progress.end();
    assert.deepEqual(
      written.map((line) => JSON.parse(line)),
      [{ done: 10, of: 40, per_second: 5, seconds_left: 6 }],
    );
  });

  it('writes at most one line a second, and always the last one', () => {
    const { written, clock, progress } = fixture(false);
    for (let done = 1; done <= 100; done += 1) {
      clock.ms += 11;
      progress.counted(done, 100);
    }
    assert.deepEqual(
      written.map((line) => JSON.parse(line).done),
      [1, 92, 100],
    );
  });

  it('shows how long a wait still takes', () => {
    const { written, progress } = fixture(false);
    progress.waiting('waiting for every process', 59_400);
    assert.deepEqual(JSON.parse(written[0] ?? ''), {
      waiting: 'waiting for every process',
      seconds_left: 60,
    });
  });

  it('begins each line with the phase, and fits it into the terminal', () => {
    const terminal = fixture(true, 'a phase with a name of 32 letters');
    terminal.progress.counted(10, 40);
    assert.equal(terminal.written[0], '\r\u001b[Ka phase with a name of 32 letters: 10 o');
    const file = fixture(false, 'vacuum');
    file.progress.begun();
    file.clock.ms = 2_000;
    file.progress.counted(10, 40);
    assert.deepEqual(
      file.written.map((line) => JSON.parse(line)),
      [{ phase: 'vacuum' }, { phase: 'vacuum', done: 10, of: 40, per_second: 5, seconds_left: 6 }],
    );
  });
});
