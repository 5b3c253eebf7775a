/** A serving process: opens its database, app and HTTP server in order, and closes them. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { object, parse, string } from 'valibot';
import { type App, type AppOptions, openApp } from './app.ts';
import { assertStrongToken, type Config } from './config.ts';
import { demoLines, onboardDemo } from './demo_tenants.ts';
import { assertCanListen, cannotListen } from './http/port.ts';
import { HttpServer } from './http/server.ts';
import { limits } from './limits.ts';
import { type Log, requestLine } from './observability/log.ts';
import { Prometheus } from './observability/prometheus.ts';
import { ThrottledLog } from './observability/throttled_log.ts';
import { type Database, openDatabase } from './open_database.ts';
import { writePrivate } from './private_file.ts';
import { type DispatchParts, dispatch } from './server/dispatch.ts';
import { type Build, registerMetrics } from './server/metrics.ts';
import { Readiness } from './server/readiness.ts';
import { RequestIds } from './server/request_ids.ts';

/** Logged at `debug` only: load balancers send these requests every few seconds. */
const probes: readonly string[] = ['/livez', '/readyz'];

/** Changes of a server that explains itself. */
export type ServerOptions = Pick<AppOptions, 'alter' | 'plans'>;

/** How long requests are accepted after a signal, and idle connections kept open after that. */
export type ShutdownOptions = { delayMs: number; idleMs: number };

export class ServerProcess {
  readonly #config: Config;
  readonly #log: Log;
  readonly #onListening: (url: string) => void;
  readonly #options: ServerOptions;
  readonly #throttledLog: ThrottledLog;
  readonly #metrics = new Prometheus({
    ...limits.metrics,
    nowMs: () => performance.now(),
  });
  #database: Database | null = null;
  #app: App | null = null;
  #server: HttpServer | null = null;
  #starting: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopping = false;
  #reviving = false;

  constructor(
    config: Config,
    log: Log,
    onListening: (url: string) => void,
    options: ServerOptions = {},
  ) {
    this.#options = options;
    this.#config = config;
    this.#log = log;
    this.#onListening = onListening;
    this.#throttledLog = new ThrottledLog(log, {
      ...limits.throttledLog,
      nowMs: () => performance.now(),
    });
  }

  /** Opens the port last: until then a proxy's connection is refused, and it tries another process. */
  start(): Promise<void> {
    this.#starting = this.#open();
    return this.#starting;
  }

  /** Reports not ready at once, serves for `delayMs`, then finishes the running requests and closes. */
  async stop({ delayMs, idleMs }: ShutdownOptions): Promise<void> {
    this.#stopping = true;
    this.#log.info('stopping');
    // A start in progress checks #stopping after each step.
    await this.#starting?.catch(() => {});
    if (this.#server) {
      // Requests are served until each proxy that watches /readyz has noticed.
      await pause(delayMs);
      await this.#server.drain(limits.shutdown.drainMs, idleMs);
    }
    await this.close();
    this.#log.info('stopped');
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#app?.close();
    await this.#database?.release();
  }

  async #open(): Promise<void> {
    const config = this.#config;
    // Checked before anything is changed; `listen` checks again, in case two start at the same time.
    await assertCanListen(config);
    const database = await openDatabase(config);
    this.#database = database;
    if (this.#stopping) return;
    const adminToken = config.adminToken ?? (await readOrCreateAdminToken(config));
    const app = await openApp({
      config,
      adminUrl: database.adminUrl,
      log: this.#log,
      labels: this.#metrics,
      ...this.#options,
    });
    this.#app = app;
    if (this.#stopping) return;
    const keys = config.demo ? await onboardDemo(app.services, config) : {};
    if (this.#stopping) return;
    this.#watch = setInterval(() => void this.#revive(database), limits.embedded.watchMs).unref();
    const server = this.#createServer(app, adminToken);
    registerMetrics(this.#metrics, { app, server, build: await readBuild(config) });
    const url = await server.listen(config.host, config.port).catch(cannotListen(config));
    this.#server = server;
    this.#onListening(url);
    const lines = demoLines(keys, config, url);
    if (lines.length > 0) process.stderr.write(`\nTry it:\n${lines.join('\n')}\n\n`);
  }

  #createServer(app: App, adminToken: string): HttpServer {
    const { metricsToken, trustedProxies, keepAliveMs } = this.#config;
    const readiness = new Readiness({
      ...limits.ready,
      ask: () => app.services.control`select`,
      nowMs: () => performance.now(),
    });
    const parts: DispatchParts = {
      app,
      ready: async () => !this.#stopping && readiness.isReady(),
      metrics: () => this.#metrics.render(),
      adminToken,
      metricsToken,
      deadline: { limitMs: limits.answerMs, nowMs: () => performance.now() },
    };
    const ids = new RequestIds(limits.requestIdBatchSize, randomFillSync);
    return new HttpServer({
      handle: (request, record) => dispatch(parts, request, record),
      begin: (record, headers, startedMs) => app.explanations.begin(record, headers, startedMs),
      observe: (finished) => {
        app.explanations.end(finished);
        this.#metrics.observe(finished);
        const isProbe = probes.includes(finished.record.endpoint);
        this.#log[isProbe ? 'debug' : 'info']('request', requestLine(finished));
      },
      onInternalError: (error, requestId) =>
        this.#log.error('request failed with an internal error', { request_id: requestId, error }),
      onUnavailable: (cause) =>
        this.#throttledLog.warn('a dependency is unavailable, requests are refused', cause),
      newId: () => ids.next(),
      nowMs: () => performance.now(),
      trustedProxies,
      limits: { ...limits.http, keepAliveMs },
    });
  }

  /** Restarts a dead embedded Postgres, because no service manager does. */
  async #revive(database: Database): Promise<void> {
    if (this.#reviving || this.#stopping) return;
    this.#reviving = true;
    try {
      if (await database.revive())
        this.#log.warn('the embedded Postgres had died and was restarted');
    } catch (error) {
      this.#throttledLog.warn('the embedded Postgres could not be restarted, will retry', error);
    } finally {
      this.#reviving = false;
    }
  }
}

async function readBuild({ packageFile }: Config): Promise<Build> {
  return parse(object({ version: string() }), JSON.parse(await readFile(packageFile, 'utf8')));
}

/** The operator's token of an installation on the embedded database: generated once, kept in a file. */
async function readOrCreateAdminToken({ dataFolder }: Config): Promise<string> {
  const file = join(dataFolder, 'admin-token');
  const stored = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (stored !== '') {
    assertStrongToken(stored, file);
    return stored;
  }
  const token = randomBytes(32).toString('hex');
  await writePrivate(file, `${token}\n`);
  return token;
}
