/**
 * `npm run prove [-- --only PATTERN] [--mode MODE] [--json [FILE]]`: the leak lab. Every known
 * attack, on real servers in all modes, on a tenant of a second server, and on tenants that are moved or
 * restored: which layer stops it, and the proof that it breaches without that layer.
 */

import { writeFile } from 'node:fs/promises';
import { asksForHelp, assertNoMore, exitUsage, readArguments } from '../../src/cli/arguments.ts';
import { Progress } from '../../src/cli/progress.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import { attacks } from './attacks.ts';
import { experiment } from './experiment.ts';
import { asJson, asTables, exitCodeOf, summaryOf } from './report.ts';
import { settings } from './setting.ts';

const concurrentLabs = 5;

const usage = `Usage: npm run prove [-- --only PATTERN] [--mode MODE] [--json [FILE]]
Modes: ${settings.join(', ')}`;

const args = process.argv.slice(2).flatMap((word) => word.split(/(?<=^--json)=/));
if (asksForHelp(args)) {
  process.stdout.write(`${usage}\n`);
  process.exit();
}
const { only, mode, json, file } = argumentsOf(args);
const chosenSettings = settings.filter((name) => mode === undefined || name === mode);
const chosen = attacks.filter(({ name }) => name.includes(only ?? ''));
if (chosenSettings.length === 0) refuse(`there is no mode "${mode}"`);
if (chosen.length === 0) refuse(`there is no attack like "${only}"`);

// An interrupt ends the experiment, not this process: the server has yet to be stopped.
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupted.abort());

const progress = new Progress(process.stderr, () => performance.now());
const startedMs = performance.now();
const [main, second] = await Promise.all([startTestCluster(), startTestCluster({ isCopy: false })]);
try {
  const results = await experiment({
    servers: { main: main.url, second: second.url },
    attacks: chosen,
    settings: chosenSettings,
    concurrentLabs,
    signal: interrupted.signal,
    onProgress: (done, all) => progress.counted(done, all),
  });
  progress.end();
  const seconds = (performance.now() - startedMs) / 1_000;
  const printsJson = json && file === undefined;
  const report = `${asTables(results, chosenSettings)}\n\n${summaryOf(results, seconds)}\n`;
  process.stdout.write(printsJson ? asJson(results, seconds) : report);
  if (file !== undefined) await writeFile(file, asJson(results, seconds));
  process.exitCode = exitCodeOf(results);
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  await Promise.all([main.stop(), second.stop()]);
}
// Keep-alive connections of the client would hold the process as long as the servers allow. A pipe takes the
// output piece by piece.
process.stdout.write('', () => process.exit());

function argumentsOf(words: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    const options = { only: text, mode: text, json: { type: 'boolean' } } as const;
    const { positionals, values } = readArguments(words, options, process.env);
    assertNoMore(positionals.slice(values.json ? 1 : 0));
    return { ...values, file: positionals[0] };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(reason: string): never {
  process.stderr.write(`Cannot prove anything: ${reason} (--help shows what there is)\n`);
  process.exit(exitUsage);
}
