/** `npm run bench`: measures the cost of each isolation mode on this machine. See `--help`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asksForHelp } from '../src/cli/arguments.ts';
import { print, printJson, report } from '../src/cli/command.ts';
import { readConfig } from '../src/config.ts';
import { CleanupStack } from './lab.ts';
import { type Options, readOptions, usage } from './options.ts';
import { Progress } from './progress.ts';
import { renderMarkdown } from './report/markdown.ts';
import { renderPage } from './report/page.ts';
import { documentOf, targetSection } from './report/sections.ts';
import { renderTerminal } from './report/terminal.ts';
import type { Result } from './result.ts';
import { run } from './run.ts';

/** The exit code after SIGINT, as in a shell. */
const exitInterrupted = 130;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

async function main(args: readonly string[]): Promise<number> {
  if (asksForHelp(args)) {
    print(usage);
    return 0;
  }
  const options = readOptions(args, process.env);
  const result = await measure(options);
  await keep(result, options);
  return 0;
}

/** Runs the bench. Everything that it has started is stopped and removed, however it ends. */
async function measure(options: Options): Promise<Result> {
  const { databaseUrl, dataFolder, redisUrl } = readConfig(process.env);
  const progress = new Progress(process.stderr, () => performance.now());
  const interrupted = interruption();
  const cleanup = new CleanupStack();
  try {
    return await run(
      { options, databaseUrl, dataFolder, redisUrl, progress, interrupted },
      cleanup,
    );
  } finally {
    progress.phase('clean up');
    for (const error of await cleanup.run()) report(error);
    progress.end();
  }
}

/** Rejects at the first signal to stop. Further signals are ignored during the clean-up. */
function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new Interrupted(`Stopped by ${signal}`)));
    }
  });
  // Handled from the start: it may reject before it is awaited.
  interrupted.catch(() => {});
  return interrupted;
}

/** Writes the page, the summary and the raw figures, and prints the requested sections. */
async function keep(result: Result, { outFolder, suites, json }: Options): Promise<void> {
  const document = documentOf(result);
  await mkdir(outFolder, { recursive: true });
  await writeFile(join(outFolder, 'report.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(outFolder, 'report.html'), renderPage(document));
  await writeFile(join(outFolder, 'summary.md'), renderMarkdown(document));
  if (json) {
    printJson(result);
    return;
  }
  const onlyTargets = suites.size === 1 && suites.has('targets');
  const shown = onlyTargets ? { ...document, sections: targetSection(result) } : document;
  process.stdout.write(renderTerminal(shown));
  process.stdout.write(`\nReport: ${join(outFolder, 'report.html')}\n`);
}

main(process.argv.slice(2)).then(
  // Behind all output: a pipe takes it piece by piece.
  (code) => process.stdout.write('', () => process.exit(code)),
  (error: unknown) => {
    const code = report(error);
    process.exit(error instanceof Interrupted ? exitInterrupted : code);
  },
);
