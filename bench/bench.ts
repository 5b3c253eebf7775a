/** `npm run bench`: what each isolation mode costs on this machine, and why. See `--help`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exitUsage } from '../src/cli/arguments.ts';
import { readConfig } from '../src/config.ts';
import { Undo } from './lab.ts';
import { type Options, readOptions, UsageError, usage } from './options.ts';
import { Progress } from './progress.ts';
import { renderMarkdown } from './report/markdown.ts';
import { renderPage } from './report/page.ts';
import { documentOf, targetSection } from './report/sections.ts';
import { renderTerminal } from './report/terminal.ts';
import type { Result } from './result.ts';
import { run } from './run.ts';

/** What a shell makes of a SIGINT. */
const exitInterrupted = 130;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const options = readOptions(args);
  const result = await measure(options);
  await keep(result, options);
  return 0;
}

/** Whatever ends it, nothing that it has started stays behind. */
async function measure(options: Options): Promise<Result> {
  const { databaseUrl, dataFolder, redisUrl } = readConfig(process.env);
  const progress = new Progress(process.stderr, () => performance.now());
  const interrupted = interruption();
  const undo = new Undo();
  try {
    return await run({ options, databaseUrl, dataFolder, redisUrl, progress, interrupted }, undo);
  } finally {
    progress.phase('tidy up');
    for (const error of await undo.all()) process.stderr.write(`bench: ${messageOf(error)}\n`);
    progress.end();
  }
}

/** Rejects when somebody wants us to stop. Further signals change nothing: we are at it. */
function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new Interrupted(`Stopped by ${signal}`)));
    }
  });
  // It may come before anybody waits for it.
  interrupted.catch(() => {});
  return interrupted;
}

/** The page, the summary and the figures themselves; on the terminal what was asked for. */
async function keep(result: Result, { outFolder, suites }: Options): Promise<void> {
  const document = documentOf(result);
  await mkdir(outFolder, { recursive: true });
  await writeFile(join(outFolder, 'report.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(outFolder, 'report.html'), renderPage(document));
  await writeFile(join(outFolder, 'summary.md'), renderMarkdown(document));
  const onlyTargets = suites.size === 1 && suites.has('targets');
  const shown = onlyTargets ? { ...document, sections: targetSection(result) } : document;
  process.stdout.write(renderTerminal(shown));
  process.stdout.write(`\nThe page: ${join(outFolder, 'report.html')}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    if (error instanceof Interrupted) process.exit(exitInterrupted);
    process.exit(error instanceof UsageError ? exitUsage : 1);
  },
);
