/**
 * The output of `npm test`: each failure at once and in a few lines, a line for each suite, and at
 * the end the skipped, the slowest and the failed tests, so that the last screen holds the
 * important lines.
 */
import { relative } from 'node:path';
import type { EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';

type Result = EventData.TestPass | EventData.TestFail;

const slowest = 10;
const errorLines = 16;

export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const suites: Result[] = [];
  const skipped: string[] = [];
  const failed: string[] = [];
  let passed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    // Those of tests, such as a seed; the runner's own are at the top.
    if (type === 'test:diagnostic' && data.nesting > 0) yield `ℹ ${data.message}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.nesting === 0) suites.push(data);
    if (data.skip !== undefined) skipped.push(`${data.name}: ${data.skip}`);
    else if (type === 'test:fail' && !isOfAnother(data)) {
      failed.push(titleOf(data));
      yield `✖ ${titleOf(data)}\n${errorOf(data)}\n`;
    } else if (type === 'test:pass' && data.details.type !== 'suite') passed += 1;
    if (data.nesting === 0 && type === 'test:pass') yield `✔ ${titleOf(data)}\n`;
  }
  yield `\n${listed('skipped', skipped)}${listed('slowest', slowestOf(suites).map(titleOf))}`;
  yield `${passed} passed, ${skipped.length} skipped, ${failed.length} failed\n`;
  if (failed.length > 0)
    yield `\n✖ failing tests:\n${failed.map((name) => `✖ ${name}\n`).join('')}`;
}

/** Whether it failed only because a test within it did, which is reported already. */
function isOfAnother({ details }: Result): boolean {
  return 'error' in details && 'failureType' in details.error
    ? details.error.failureType === 'subtestsFailed'
    : false;
}

function titleOf({ file = '', name, details }: Result): string {
  const path = relative(process.cwd(), file);
  return `${path} › ${name} (${(details.duration_ms / 1000).toFixed(1)} s)`;
}

function errorOf({ details }: Result): string {
  if (!('error' in details)) return '';
  const { cause = details.error } = details.error;
  const text = cause instanceof Error ? `${cause.stack}` : String(cause);
  return text.split('\n').slice(0, errorLines).join('\n').replace(/^/gm, '  ');
}

function slowestOf(suites: readonly Result[]): Result[] {
  return suites.toSorted((a, b) => b.details.duration_ms - a.details.duration_ms).slice(0, slowest);
}

function listed(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
