/** The metrics that do not belong to one request: connections, caches, limiter, audit, fleet. */

import type { App } from '../app.ts';
import type { HttpServer } from '../http/server.ts';
import type { Prometheus } from '../observability/prometheus.ts';

/** The running code. */
export type Build = { version: string };

export type MetricsSources = { app: App; server: HttpServer; build: Build };

export function registerMetrics(metrics: Prometheus, { app, server, build }: MetricsSources): void {
  metrics.gauges('kennel_build_info', 'Always 1', ['version', 'node'], () => [
    { labels: { version: build.version, node: process.version }, value: 1 },
  ]);
  http(metrics, server);
  connections(metrics, app);
  saturation(metrics, app);
  caches(metrics, app);
  emails(metrics, app);
  fleet(metrics, app);
  const { denials, limiter, admission, throttle } = app;
  metrics.gauge(
    'kennel_requests_running',
    'Tenant requests that are running',
    () => admission.stats.running,
  );
  metrics.counter(
    'kennel_requests_shed_total',
    'Tenant requests refused because too many were running',
    () => admission.stats.shed,
  );
  metrics.gauge(
    'kennel_guesses_waiting',
    'Replies to wrong credentials that are delayed',
    () => throttle.stats.waiting,
  );
  metrics.gauge('kennel_limiter_degraded', '1 while this process limits without Redis', () =>
    Number(limiter.degraded()),
  );
  metrics.gauge('kennel_limiter_buckets', 'Token buckets kept in this process', () =>
    limiter.buckets(),
  );
  metrics.gauge('kennel_denials_held', 'Denials not written yet', () => denials.stats.held);
  metrics.counter(
    'kennel_denials_dropped_total',
    'Denials dropped because too many were held',
    () => denials.stats.dropped,
  );
}

/** For the whole installation, as of the last round of maintenance. */
function fleet(metrics: Prometheus, { maintenance }: App): void {
  metrics.gauges('kennel_tenants', 'Tenants', ['isolation', 'status'], () =>
    maintenance.tenants.map(({ isolation, status, tenants: value }) => ({
      labels: { isolation, status },
      value,
    })),
  );
  metrics.gauge(
    'kennel_tenants_behind',
    'Tenants not at the newest schema version',
    () => maintenance.stats.behind,
  );
  metrics.gauge(
    'kennel_tenants_migration_failed',
    'Tenants whose last migration failed',
    () => maintenance.stats.failed,
  );
  metrics.gauge(
    'kennel_tenants_ahead',
    'Tenants whose schema version is newer than the migrations of this process',
    () => maintenance.stats.ahead,
  );
  metrics.gauge(
    'kennel_tenants_unserved',
    'Tenants whose schema version this process cannot work with',
    () => maintenance.stats.unserved,
  );
  metrics.gauge('kennel_processes', 'Processes that serve', () => maintenance.stats.processes);
  metrics.gauge(
    'kennel_processes_left_behind',
    'Processes that cannot serve all tenants once they have all migrations',
    () => maintenance.stats.processesLeftBehind,
  );
}

function connections(metrics: Prometheus, { services }: App): void {
  for (const [name, pool] of Object.entries(services.pools)) {
    const prefix = `kennel_${name}_lanes`;
    metrics.gauge(`${prefix}_idle`, `Idle ${name} connections`, () => pool.stats.idle);
    metrics.gauge(`${prefix}_busy`, `Busy ${name} connections`, () => pool.stats.busy);
    metrics.gauge(
      `${prefix}_unterminated`,
      'Backends that have outlived their connections',
      () => pool.stats.unterminated,
    );
    metrics.gauge(
      `${prefix}_waiting`,
      `Calls that wait for a ${name} connection`,
      () => pool.stats.waiting,
    );
    metrics.counter(
      `${prefix}_lost_total`,
      `${name} connections lost while busy`,
      () => pool.stats.lost,
    );
  }
}

/** Shows when the connections do not suffice: time that calls wait, and connections in use of the limit. */
function saturation(metrics: Prometheus, { services }: App): void {
  const read = (name: 'limit' | 'inUse' | 'waits' | 'waitedMs', unit = 1) => {
    const pools = Object.entries(services.pools);
    return () =>
      pools.map(([pool, { saturation }]) => ({ labels: { pool }, value: saturation[name] / unit }));
  };
  const names = ['pool'];
  metrics.gauges(
    'kennel_connections_limit',
    'The maximum number of connections',
    names,
    read('limit'),
  );
  metrics.gauges('kennel_connections_in_use', 'Connections at work', names, read('inUse'));
  metrics.counters(
    'kennel_connections_waits_total',
    'Calls that waited for a connection',
    names,
    read('waits'),
  );
  metrics.counters(
    'kennel_connections_wait_seconds_total',
    'Time that calls waited for a connection',
    names,
    read('waitedMs', 1_000),
  );
}

function http(metrics: Prometheus, server: HttpServer): void {
  metrics.gauge(
    'kennel_http_connections',
    "Clients' open connections",
    () => server.stats.connections,
  );
  metrics.gauge(
    'kennel_http_unread_reply_bytes',
    'Replies that clients have not read yet, as estimated',
    () => server.stats.unreadBytes,
  );
}

function caches(metrics: Prometheus, { directory, listener }: App): void {
  for (const name of ['keys', 'tenants'] as const) {
    const stats = () => directory.stats[name];
    const prefix = `kennel_${name}_cache`;
    metrics.gauge(`${prefix}_entries`, `Known ${name}`, () => stats().entries);
    metrics.counter(`${prefix}_hits_total`, 'Answers without a query', () => stats().hits);
    metrics.counter(`${prefix}_misses_total`, 'Answers with a query', () => stats().misses);
  }
  metrics.gauge('kennel_listener_connected', '1 while changes are announced to this process', () =>
    Number(listener.connected),
  );
}

/** Rows are counted once a minute, for all processes; attempts only for this process. */
function emails(metrics: Prometheus, { outbox, maintenance }: App): void {
  metrics.gauge(
    'kennel_emails_waiting',
    'Emails not sent yet, in the database',
    () => maintenance.stats.emails.waiting,
  );
  metrics.gauge(
    'kennel_emails_given_up',
    'Emails that are not tried again, in the database',
    () => maintenance.stats.emails.givenUp,
  );
  metrics.counter('kennel_emails_sent_total', 'Emails sent', () => outbox.stats.sent);
  metrics.counter(
    'kennel_emails_failed_attempts_total',
    'Attempts to send an email that failed',
    () => outbox.stats.failedAttempts,
  );
  metrics.counter('kennel_emails_given_up_total', 'Emails given up', () => outbox.stats.givenUp);
}
