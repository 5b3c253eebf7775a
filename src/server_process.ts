/** One serving process: its database, its app and its HTTP server, opened and closed in order. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { object, parse, string } from 'valibot';
import { type App, openApp } from './app.ts';
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

/** How long requests are still taken after a signal, and idle connections kept after that. */
export type ShutdownOptions = { delayMs: number; idleMs: number };

export class ServerProcess {
  readonly #config: Config;
  readonly #log: Log;
  readonly #onListening: (url: string) => void;
  readonly #throttledLog: ThrottledLog;
  readonly #metrics = new Prometheus({ ...limits.metrics, nowMs: Date.now });
  #database: Database | null = null;
  #app: App | null = null;
  #server: HttpServer | null = null;
  #starting: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopping = false;
  #reviving = false;

  constructor(config: Config, log: Log, onListening: (url: string) => void) {
    this.#config = config;
    this.#log = log;
    this.#onListening = onListening;
    this.#throttledLog = new ThrottledLog(log, { ...limits.throttledLog, nowMs: Date.now });
  }

  /** Takes the port last: until then a proxy that knocks goes to another process at once. */
  start(): Promise<void> {
    this.#starting = this.#open();
    return this.#starting;
  }

  /** Not ready at once, serving for `delayMs`, and gone when the running requests are done. */
  async stop({ delayMs, idleMs }: ShutdownOptions): Promise<void> {
    this.#stopping = true;
    this.#log.info('stopping');
    // In the middle of a start its steps end one by one.
    await this.#starting?.catch(() => {});
    if (this.#server) {
      // A proxy that watches /readyz sends no more requests here; until then they are served.
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
    // Told before anything is touched, and again by `listen` where two start at once.
    await assertCanListen(config);
    const database = await openDatabase(config);
    this.#database = database;
    if (this.#stopping) return;
    const adminToken = config.adminToken ?? (await readOrCreateAdminToken(config));
    const app = await openApp({
      config,
      adminUrl: database.adminUrl,
      log: this.#log,
      onForget: (slug) => this.#metrics.forget(slug),
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
      handle: (request, trace) => dispatch(parts, request, trace),
      observe: (finished) => {
        this.#metrics.observe(finished);
        this.#log.info('request', requestLine(finished));
      },
      onInternalError: (error, requestId) =>
        this.#log.error('internal', { request_id: requestId, error }),
      onUnavailable: (cause) => this.#throttledLog.warn('unavailable', cause),
      newId: () => ids.next(),
      nowMs: () => performance.now(),
      trustedProxies,
      limits: { ...limits.http, keepAliveMs },
    });
  }

  /** A dead embedded Postgres is nobody else's to start again. */
  async #revive(database: Database): Promise<void> {
    if (this.#reviving || this.#stopping) return;
    this.#reviving = true;
    try {
      if (await database.revive()) this.#log.warn('the embedded Postgres had died and runs again');
    } catch (error) {
      this.#throttledLog.warn('the embedded Postgres is dead', error);
    } finally {
      this.#reviving = false;
    }
  }
}

async function readBuild({ packageFile }: Config): Promise<Build> {
  return parse(object({ version: string() }), JSON.parse(await readFile(packageFile, 'utf8')));
}

/** The token of a Kennel on its own embedded database: made once, kept beside it. */
async function readOrCreateAdminToken({ dataFolder }: Config): Promise<string> {
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
