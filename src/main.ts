/** The process: environment, signals, exit codes. What can go wrong at the start is told in a line. */
import {
  asksForHelp,
  assertNoMore,
  exitUsage,
  readArguments,
  UsageError,
} from './cli/arguments.ts';
import { assertServable, type Config, ConfigError, readConfig } from './config.ts';
import { UnsafeError } from './control_plane/doctor/start.ts';
import { limits } from './limits.ts';
import { createLog, type Log } from './observability/log.ts';
import { ServerProcess, type ShutdownOptions } from './server_process.ts';

/** sysexits.h: something is wrong with the configuration. */
const exitConfig = 78;

const usage = `Usage: npm start
It takes no arguments: environment variables say what it does, and README.md lists them.`;

async function main(): Promise<void> {
  // Full, closed, or a terminal that is gone: it costs the lines and not the process.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const args = process.argv.slice(2);
  if (asksForHelp(args)) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  assertNoMore(readArguments(args, {}, process.env).positionals);
  const config = readConfig(process.env);
  assertServable(config);
  const log = logFor(config.logLevel);
  // Also when a fault of ours ends the process: its last lines are the ones that tell of it.
  process.on('exit', () => void log.flush());
  // The parent process waits for this line, whatever the level of the others.
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
  // Signals come in pairs, from a terminal and from npm; the second must not cut the first short.
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
  const told = error instanceof ConfigError || error instanceof UnsafeError;
  const lines = told ? error.lines : [errorLine(error)];
  for (const line of lines) process.stderr.write(`kennel: ${line}\n`);
  if (error instanceof UsageError) process.exit(exitUsage);
  process.exit(error instanceof ConfigError ? exitConfig : 1);
});

function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = process.env.LOG_LEVEL === 'debug' ? (error.stack ?? error.message) : error.message;
  return text.trim();
}
