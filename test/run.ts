/**
 * `npm test [-- pattern]`: all test files, or those whose path contains the pattern, on one Postgres
 * that is started for them, or on the one that `DATABASE_URL` names.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { startTestCluster } from './support/test_cluster.ts';

// More than two cores hold: many tests wait, for a limit or for a process to start.
const filesAtOnce = 3;

const files = await testFiles(process.argv[2] ?? '');
if (files.length === 0) {
  process.stderr.write(`Cannot test "${process.argv[2] ?? ''}": no test file has it in its path\n`);
  process.exit(1);
}

// Whoever interrupts ends the tests, not us: the server has yet to be stopped.
let tests: ChildProcess | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests?.kill(signal));

process.exitCode = await testAll(files);

async function testFiles(pattern: string): Promise<string[]> {
  const entries = await readdir('test', { recursive: true });
  const paths = entries.filter((entry) => entry.endsWith('.test.ts')).map((x) => join('test', x));
  return paths.filter((path) => path.includes(pattern)).sort();
}

async function testAll(paths: readonly string[]): Promise<number> {
  if (process.env.DATABASE_URL) return runTests(paths, process.env.DATABASE_URL);
  const { url, stop } = await startTestCluster();
  try {
    return await runTests(paths, url);
  } finally {
    await stop();
  }
}

async function runTests(paths: readonly string[], url: string): Promise<number> {
  tests = spawn(process.execPath, [...flags(), ...paths], {
    stdio: 'inherit',
    env: { ...process.env, TEST_DATABASE_URL: url },
  });
  await once(tests, 'exit');
  const { exitCode, signalCode } = tests;
  return exitCode ?? 128 + (signalCode ? constants.signals[signalCode] : 0);
}

function flags(): string[] {
  const coverage = ['--experimental-test-coverage'];
  // Node 20 cannot leave out the tests themselves.
  if (!process.version.startsWith('v20.')) coverage.push('--test-coverage-include=src/**');
  const report = ['--test-reporter=spec', `--test-concurrency=${filesAtOnce}`];
  return ['--import', 'tsx', '--test', ...coverage, ...report];
}
