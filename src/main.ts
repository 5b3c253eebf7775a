/** The process: environment, signals, exit codes. What can go wrong at the start is told in a line. */

import { randomBytes, randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Prometheus } from './adapters/metrics/prometheus.ts';
import { type App, openApp } from './app.ts';
import {
  asksForHelp,
  assertNoMore,
  exitUsage,
  readArguments,
  UsageError,
} from './cli/arguments.ts';
import {
  assertServable,
  assertStrongToken,
  bounds,
  type Config,
  ConfigError,
  readConfig,
} from './config.ts';
import { type Database, openDatabase } from './database.ts';
import { demoLines, onboardDemo } from './demo.ts';
import { registerFigures } from './figures.ts';
import { UnsafeError } from './fleet/doctor/start.ts';
import { answer, type Signs } from './front_door.ts';
import { HttpServer } from './http/server.ts';
import { createLog, type Log, requestLine } from './log.ts';
import { writePrivate } from './private_file.ts';
import { QuietLog } from './quiet_log.ts';
import { Readiness } from './readiness.ts';
import { RequestIds } from './request_ids.ts';

/** sysexits.h: something is wrong with the configuration. */
const exitConfig = 78;

class Process {
  readonly #config: Config;
  readonly #log: Log;
  readonly #quiet: QuietLog;
  readonly #metrics = new Prometheus({ ...bounds.metrics, nowMs: Date.now });
  readonly #server: HttpServer;
  readonly #readiness = new Readiness({
    ...bounds.ready,
    ask: async () => {
      if (!this.#app) throw new Error('Cannot ask the database: Kennel is starting');
      await this.#app.backstage.control`select`;
    },
    nowMs: () => performance.now(),
  });
  #database: Database | null = null;
  #app: App | null = null;
  #adminToken: string | null = null;
  #starting: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #serving = false;
  #stopping = false;
  #reviving = false;

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#quiet = new QuietLog(log, { ...bounds.quiet, nowMs: Date.now });
    const signs: Signs = {
      app: () => (this.#serving ? this.#app : null),
      ready: () => this.#isReady(),
      metrics: () => this.#metrics.render(),
      adminToken: () => this.#adminToken,
      metricsToken: config.metricsToken,
      answerLimit: { limitMs: bounds.answerMs, nowMs: () => performance.now() },
    };
    const ids = new RequestIds(bounds.requestIdsAtOnce, randomFillSync);
    this.#server = new HttpServer({
      handle: (request, trace) => answer(signs, request, trace),
      observe: (finished) => {
        this.#metrics.observe(finished);
        log.info('request', requestLine(finished));
      },
      onInternalError: (error, requestId) =>
        log.error('internal', { request_id: requestId, error }),
      onUnavailable: (cause) => this.#quiet.warn('unavailable', cause),
      newId: () => ids.next(),
      nowMs: () => performance.now(),
      trustedProxies: config.trustedProxies,
      bounds: bounds.http,
    });
  }

  /** Takes the port first, so that a taken one is told before anything is touched. */
  start(): Promise<void> {
    this.#starting = this.#open();
    return this.#starting;
  }

  /** Not ready at once; gone when the running requests are done. */
  async stop(leaveMs: number): Promise<void> {
    this.#stopping = true;
    this.#log.info('stopping');
    // Whoever watches /readyz sends no more requests here; until then they are served.
    await new Promise((resolve) => setTimeout(resolve, leaveMs));
    await this.#server.drain(bounds.shutdown.drainMs);
    await this.close();
    this.#log.info('stopped');
  }

  /** Also in the middle of a start, whose steps then end one by one. */
  async close(): Promise<void> {
    this.#stopping = true;
    await this.#starting?.catch(() => {});
    clearInterval(this.#watch);
    await this.#app?.close();
    await this.#database?.release();
  }

  async #open(): Promise<void> {
    const config = this.#config;
    const url = await this.#server.listen(config.host, config.port).catch((error) => {
      throw new Error(`Cannot listen on ${config.host}:${config.port}: ${listenProblem(error)}`);
    });
    const database = await openDatabase(config);
    this.#database = database;
    if (this.#stopping) return;
    this.#adminToken = config.adminToken ?? (await ownAdminToken(config));
    const app = await openApp({
      config,
      adminUrl: database.adminUrl,
      log: this.#log,
      onForget: (slug) => this.#metrics.forget(slug),
    });
    this.#app = app;
    registerFigures(this.#metrics, app);
    if (this.#stopping) return;
    const keys = config.demo ? await onboardDemo(app.backstage, config) : {};
    this.#watch = setInterval(() => void this.#revive(database), bounds.embedded.watchMs).unref();
    this.#serving = true;
    // Whoever started us waits for this line, whatever the level of the others.
    logFor('info').info('listening', { url, isolation: config.isolation });
    const lines = demoLines(keys, config, url);
    if (lines.length > 0) process.stderr.write(`\nTry it:\n${lines.join('\n')}\n\n`);
  }

  /** A dead embedded Postgres is nobody else's to start again. */
  async #revive(database: Database): Promise<void> {
    if (this.#reviving || this.#stopping) return;
    this.#reviving = true;
    try {
      if (await database.revive()) this.#log.warn('the embedded Postgres had died and runs again');
    } catch (error) {
      this.#quiet.warn('the embedded Postgres is dead', error);
    } finally {
      this.#reviving = false;
    }
  }

  async #isReady(): Promise<boolean> {
    return this.#serving && !this.#stopping && this.#readiness.isReady();
  }
}

const usage = `Usage: npm start
It takes no arguments: environment variables say what it does, and README.md lists them.`;

async function main(): Promise<void> {
  process.stdout.on('error', () => {});
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
  const kennel = new Process(config, log);
  let ending: Promise<void> | undefined;
  const end = async (leaveMs: number) => {
    setTimeout(() => process.exit(1), bounds.shutdown.wholeMs).unref();
    await kennel.stop(leaveMs);
    await log.flush();
    process.exit(0);
  };
  // Signals come in pairs, from a terminal and from npm; the second must not cut the first short.
  process.on('SIGTERM', () => {
    ending ??= end(bounds.shutdown.leaveMs);
  });
  process.on('SIGINT', () => {
    ending ??= end(0);
  });
  try {
    await kennel.start();
  } catch (error) {
    if (ending) return ending;
    await kennel.close().catch(() => {});
    await log.flush();
    throw error;
  }
}

function logFor(level: Config['logLevel']): Log {
  return createLog({ ...bounds.log, level, sink: process.stdout, nowMs: Date.now });
}

/** The token of a Kennel on its own embedded database: made once, kept beside it. */
async function ownAdminToken({ dataFolder }: Config): Promise<string> {
  const file = join(dataFolder, 'admin-token');
  const known = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (known !== '') {
    assertStrongToken(known, file);
    return known;
  }
  const made = randomBytes(32).toString('hex');
  await writePrivate(file, `${made}\n`);
  return made;
}

function listenProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') return 'the port is taken; set PORT to another one';
  if (code === 'EACCES') return 'this user may not use that port; set PORT to one above 1023';
  return error instanceof Error ? error.message : String(error);
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
