/**
 * A Kennel like that of `src/main.ts`, of which parts can be removed or replaced. The cost of a part is the
 * cost of a request with it, less the cost without it.
 */
import { v7 as uuidv7 } from 'uuid';
import { type AppOptions, openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { HttpServer, type HttpServerParts } from '../../src/http/server.ts';
import { limits } from '../../src/limits.ts';
import { createLog, requestLine } from '../../src/observability/log.ts';
import { Prometheus } from '../../src/observability/prometheus.ts';
import { type DispatchParts, dispatch } from '../../src/server/dispatch.ts';

export type LabServerOptions = {
  alter: NonNullable<AppOptions['alter']>;
  logs: boolean;
  counts: boolean;
  /** Replaces `dispatch` and everything behind it. */
  handle?: HttpServerParts['handle'];
};

/** Serves on a free port until SIGINT. */
export async function serveLab({ alter, logs, counts, handle }: LabServerOptions): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog({
    ...limits.log,
    level: config.logLevel,
    sink: process.stdout,
    nowMs: Date.now,
  });
  const metrics = new Prometheus({ ...limits.metrics, nowMs: Date.now });
  const adminUrl = config.databaseUrl ?? '';
  const app = await openApp({
    config,
    adminUrl,
    log,
    labels: { names: () => [], forget: () => {} },
    alter,
  });
  const parts: DispatchParts = {
    app,
    ready: async () => true,
    metrics: () => metrics.render(),
    adminToken: config.adminToken ?? '',
    metricsToken: config.metricsToken,
    deadline: { limitMs: limits.answerMs, nowMs: () => performance.now() },
  };
  const server = new HttpServer({
    handle: handle ?? ((request, record) => dispatch(parts, request, record)),
    observe: (finished) => {
      if (counts) metrics.observe(finished);
      if (logs) log.info('request', requestLine(finished));
    },
    onInternalError: (error) => log.error('request failed with an internal error', { error }),
    onUnavailable: (error) => log.warn('unavailable', { error }),
    newId: uuidv7,
    nowMs: () => performance.now(),
    trustedProxies: config.trustedProxies,
    limits: limits.http,
  });
  log.info('listening', { url: await server.listen(config.host, 0) });
  process.once('SIGINT', async () => {
    await server.drain(limits.shutdown.drainMs);
    await app.close();
    process.exit(0);
  });
}
