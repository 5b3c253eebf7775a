/** The process: environment, signals and exit codes. An error at the start is printed as one line. */
import {
  asksForHelp,
  assertNoMore,
  exitUsage,
  readArguments,
  UsageError,
} from './cli/arguments.ts';
import { type Config, ConfigError, readServerConfig } from './config.ts';
import { UnsafeError } from './control_plane/doctor/start.ts';
import { inOneLine } from './kernel/printable_text.ts';
import { limits } from './limits.ts';
import { createLog, type Log } from './observability/log.ts';
import { ServerProcess, type ShutdownOptions } from './server_process.ts';

/** EX_CONFIG of sysexits.h: an error in the configuration. */
const exitConfig = 78;

const usage = `Usage: npm start
It takes no arguments. Environment variables configure it; README.md lists them.`;

async function main(): Promise<void> {
  // A full disk, a closed pipe or a closed terminal loses log lines, but must not end the process.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const args = process.argv.slice(2);
  if (asksForHelp(args)) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  assertNoMore(readArguments(args, {}, process.env).positionals);
  const config = readServerConfig(process.env);
  const log = logFor(config.logLevel);
  // Also after an uncaught error, which the last lines describe.
  process.on('exit', () => void log.flush());
  // A parent process waits for this line, so it is logged at every level.
  const kennel = new ServerProcess(config, log, (url) =>
    logFor('info').info('listening', { url, isolation: config.isolation }),
  );
  let shutdown: Promise<void> | undefined;
  const end = async (options: ShutdownOptions) => {
    setTimeout(() => process.exit(1), options.delayMs + limits.shutdown.totalMs).unref();
    await kennel.stop(options);
    await log.flush();
    process.exit(0);
  };
  // A signal may arrive twice, from the terminal and from npm; the second must not stop the shutdown.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    process.on(signal, () => {
      shutdown ??= end({ delayMs: config.shutdownDelayMs, idleMs: limits.shutdown.idleMs });
    });
  }
  process.on('SIGINT', () => {
    shutdown ??= end({ delayMs: 0, idleMs: 0 });
  });
  try {
    await kennel.start();
  } catch (error) {
    if (shutdown) return shutdown;
    await kennel.close().catch(() => {});
    await log.flush();
    throw error;
  }
}

function logFor(level: Config['logLevel']): Log {
  return createLog({ ...limits.log, level, sink: process.stdout, nowMs: Date.now });
}

main().catch((error: unknown) => {
  const hasLines = error instanceof ConfigError || error instanceof UnsafeError;
  const lines = hasLines ? error.lines : [errorText(error)];
  for (const line of lines) process.stderr.write(`kennel: ${line}\n`);
  if (error instanceof UsageError) process.exit(exitUsage);
  process.exit(error instanceof ConfigError ? exitConfig : 1);
});

/** One line; at the level `debug` also the lines of the stack. */
function errorText(error: unknown): string {
  if (!(error instanceof Error)) return inOneLine(String(error));
  const stack = process.env.LOG_LEVEL === 'debug' ? error.stack : undefined;
  return stack?.trim() ?? inOneLine(error.message);
}
