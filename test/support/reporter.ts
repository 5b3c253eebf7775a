/**
 * Runs in the process of each test file: prints each failure at once and in a few lines, and a line
 * for each suite, and sends `npm test` each result and the name of each test that begins.
 */
import { relative } from 'node:path';
import { beforeEach, type EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';

/** How a test or a suite ended. */
export type Result = {
  /** With the path of its file, and the time that it took or why it was skipped. */
  title: string;
  outcome: 'passed' | 'failed' | 'skipped';
  isSuite: boolean;
  /** Whether it is within a suite. */
  isNested: boolean;
  ms: number;
};

/** Sent to `npm test`. The last one, `{}`, is that the file is at its end. */
export type Progress = { begun?: string; result?: Result };

type Ended = EventData.TestPass | EventData.TestFail;

const errorLines = 16;

let begun = 'none';

// At once, without its file: an event of a test that blocks the process would not come through.
beforeEach(({ name }) => begins(name));

// Node gives an error that comes after its test to no test, and prints it without its stack.
for (const event of ['uncaughtExceptionMonitor', 'unhandledRejection']) {
  process.on(event, (error) => {
    const text = error instanceof Error ? error.stack : error;
    process.stderr.write(`Uncaught, the last test that began is "${begun}": ${text}\n`);
  });
}

export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type === 'test:dequeue') begins(pathOf(data), data.name);
    // Those of tests, such as a seed; the runner's own are at the top.
    if (type === 'test:diagnostic' && data.nesting > 0) yield `ℹ ${data.message}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const result = resultOf(data, type === 'test:pass');
    if (!isOfAnother(data)) send({ result });
    if (result.outcome === 'failed' && !isOfAnother(data))
      yield `✖ ${result.title}\n${errorOf(data)}\n`;
    else if (type === 'test:pass' && !result.isNested) yield `✔ ${result.title}\n`;
  }
  send({});
}

function resultOf(data: Ended, isPass: boolean): Result {
  const { skip, nesting, details } = data;
  return {
    title: titleOf(data),
    outcome: skip !== undefined ? 'skipped' : isPass ? 'passed' : 'failed',
    isSuite: details.type === 'suite',
    isNested: nesting > 0,
    ms: details.duration_ms,
  };
}

/** Whether it failed only because a test within it did, which is reported already. */
function isOfAnother({ details }: Ended): boolean {
  return 'error' in details && 'failureType' in details.error
    ? details.error.failureType === 'subtestsFailed'
    : false;
}

function begins(...name: string[]): void {
  begun = name.join(' › ');
  send({ begun });
}

function pathOf({ file = '' }: { file?: string }): string {
  return relative(process.cwd(), file);
}

function titleOf(data: Ended): string {
  const { name, skip, details } = data;
  return `${pathOf(data)} › ${name} (${skip ?? `${(details.duration_ms / 1000).toFixed(1)} s`})`;
}

function errorOf({ details }: Ended): string {
  if (!('error' in details)) return '';
  const { cause = details.error } = details.error;
  const text = cause instanceof Error ? `${cause.stack}` : String(cause);
  return text.split('\n').slice(0, errorLines).join('\n').replace(/^/gm, '  ');
}

function send(progress: Progress): void {
  process.send?.(progress);
}
