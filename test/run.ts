/**
 * `npm test [-- NAME...]`: all test files, or those whose path contains one of the names, on one
 * Postgres that is started for them, or on the one that `DATABASE_URL` names.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, statfs, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { asksForHelp, exitUsage } from '../src/cli/arguments.ts';
import { startEmbedded } from '../src/embedded_postgres/embedded_postgres.ts';
import { bundlePrograms } from './support/bundle.ts';
import type { Result } from './support/reporter.ts';
import { endAll, runFiles } from './support/run_files.ts';
import { openFolder, startTestCluster, testLimits, unsafeButFast } from './support/test_cluster.ts';
import { jobsOf } from './support/test_jobs.ts';

// More than two cores can run: many tests wait, for a limit or for a process to start.
const concurrentProcesses = 4;
const slowest = 10;

// Linux's file system in memory: to create a database is to create hundreds of files.
const memoryFolder = '/dev/shm';
// The tests write up to 1.6 GB.
const roomBytes = 8e9;

const names = process.argv.slice(2);
if (asksForHelp(names)) {
  process.stdout.write(
    'Usage: npm test [-- NAME...]      the test files with a name in their path\n',
  );
  process.exit();
}
const files = await testFiles(names);
if (files.length === 0) {
  process.stderr.write(`Cannot test "${names.join(' ')}": no test file has it in its path\n`);
  process.exit(exitUsage);
}

// An interrupt ends the tests, not this process: the server has yet to be stopped.
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isInterrupted = true;
    void endAll();
  });
}

process.exitCode = await testAll(files);

async function testFiles(names: readonly string[]): Promise<string[]> {
  const entries = await readdir('test', { recursive: true });
  const paths = entries.filter((entry) => entry.endsWith('.test.ts')).map((x) => join('test', x));
  const isNamed = (path: string) => names.some((name) => path.includes(name));
  return (names.length === 0 ? paths : paths.filter(isNamed)).sort();
}

async function testAll(paths: readonly string[]): Promise<number> {
  process.env.TMPDIR ??= (await isUsable(memoryFolder)) ? memoryFolder : tmpdir();
  const folder = await openFolder();
  // For all temporary files of the tests.
  process.env.TMPDIR = folder;
  try {
    if (!process.env.TEST_POSTGRES_PROGRAMS) {
      process.env.TEST_CLUSTER = await makeCluster(join(folder, 'cluster'));
    }
    if (process.env.DATABASE_URL) return await runTests(paths, folder, process.env.DATABASE_URL);
    const { url, stop } = await startTestCluster();
    return await runTests(paths, folder, url).finally(stop);
  } finally {
    // After an interrupt a process may still write there.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Whether it has room, and programs may be run from it: some tests write one. */
async function isUsable(path: string): Promise<boolean> {
  const found = await statfs(path).catch(() => null);
  const room = found ? found.bavail * found.bsize : 0;
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  const isNoexec = mounts.split('\n').some((line) => {
    const [, at, , options = ''] = line.split(' ');
    return at === path && options.split(',').includes('noexec');
  });
  // The size of the file system is a limit; the memory may be smaller.
  return !isNoexec && Math.min(room, process.availableMemory()) >= roomBytes;
}

/** Returns the folder of a cluster that has been started once, for the tests to copy. */
async function makeCluster(folder: string): Promise<string> {
  const { halt } = await startEmbedded({ folder, settings: unsafeButFast, limits: testLimits });
  await halt();
  return folder;
}

async function runTests(paths: readonly string[], folder: string, url: string): Promise<number> {
  const compiled = await compile(join(folder, 'compiled'));
  process.env.TEST_DATABASE_URL = url;
  const waiting = jobsOf(paths);
  const results: Result[] = [];
  const runNext = async () => {
    for (let files = waiting.shift(); files && !isInterrupted; files = waiting.shift())
      results.push(
        ...(await runFiles([...flagsFor(compiled), ...scriptsOf(compiled, files)], files)),
      );
  };
  await Promise.all(Array.from({ length: concurrentProcesses }, runNext));
  process.stdout.write(summaryOf(results));
  return isInterrupted || results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
}

/** Copies the project, and compiles and bundles the copy: hundreds of processes start faster then. */
async function compile(folder: string): Promise<string> {
  await mkdir(folder);
  for (const entry of await readdir('.')) {
    const copied = ['src', 'test', 'bench', 'sql'].includes(entry);
    if (copied) await cp(entry, join(folder, entry), { recursive: true });
    else await symlink(resolve(entry), join(folder, entry));
  }
  const options = ['--noCheck', '--noEmit', 'false', '--rewriteRelativeImportExtensions'];
  const folders = ['--rootDir', '.', '--outDir', folder, '--inlineSourceMap'];
  const tsc = spawn('node_modules/.bin/tsc', [...options, ...folders], { stdio: 'inherit' });
  const [code] = await once(tsc, 'exit');
  if (code !== 0) throw new Error(`Cannot compile the tests: tsc ended with ${code}`);
  await bundlePrograms(folder);
  return folder;
}

function flagsFor(compiled: string): string[] {
  const reporter = join(compiled, 'test/support/reporter.js');
  return ['--enable-source-maps', '--import', reporter, `--test-reporter=${reporter}`];
}

function scriptsOf(compiled: string, files: readonly string[]): string[] {
  const scripts = files.length === 1 ? files : ['test/support/test_group.ts', ...files];
  return scripts.map((path) => join(compiled, path.replace(/ts$/, 'js')));
}

/** For the last screen: the skipped, the slowest and the failed tests, and how many there are. */
function summaryOf(results: readonly Result[]): string {
  const tests = results.filter(({ isSuite, outcome }) => !isSuite || outcome !== 'passed');
  const all = (wanted: Result['outcome']) => tests.filter(({ outcome }) => outcome === wanted);
  const [skipped, failed] = [all('skipped'), all('failed')];
  const lines = [
    ...listed('skipped', skipped),
    ...listed('slowest', slowestOf(results)),
    `${all('passed').length} passed, ${skipped.length} skipped, ${failed.length} failed`,
    ...listed('\n✖ failing tests', failed),
  ];
  return `\n${lines.join('\n')}\n`;
}

function slowestOf(results: readonly Result[]): Result[] {
  const suites = results.filter(({ isNested, outcome }) => !isNested && outcome !== 'failed');
  return suites.toSorted((a, b) => b.ms - a.ms).slice(0, slowest);
}

function listed(heading: string, results: readonly Result[]): string[] {
  return results.length === 0 ? [] : [`${heading}:`, ...results.map(({ title }) => `  ${title}`)];
}
