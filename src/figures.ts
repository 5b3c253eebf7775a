/** The figures behind `/metrics` that are not of one request: lanes, caches, limiter, audit, fleet. */
import type { Prometheus } from './adapters/metrics/prometheus.ts';
import type { App } from './app.ts';

export function registerFigures(metrics: Prometheus, app: App): void {
  lanes(metrics, app);
  caches(metrics, app);
  emails(metrics, app);
  const { denials, limiter, upkeep, admission, throttle } = app;
  metrics.gauge(
    'kennel_requests_running',
    'Tenant requests being worked on',
    () => admission.figures.running,
  );
  metrics.counter(
    'kennel_requests_shed_total',
    'Tenant requests refused because too many were running',
    () => admission.figures.shed,
  );
  metrics.gauge(
    'kennel_guesses_waiting',
    'Refusals of guessed credentials that are delayed',
    () => throttle.figures.waiting,
  );
  metrics.gauge('kennel_limiter_degraded', '1 while this process limits without Redis', () =>
    Number(limiter.degraded()),
  );
  metrics.gauge('kennel_limiter_buckets', 'Budgets kept in this process', () => limiter.buckets());
  metrics.gauge('kennel_denials_held', 'Denials not written yet', () => denials.figures.held);
  metrics.counter(
    'kennel_denials_dropped_total',
    'Denials lost to a full log',
    () => denials.figures.dropped,
  );
  metrics.gauge(
    'kennel_tenants_behind',
    'Tenants not at the newest schema version',
    () => upkeep.figures.behind,
  );
  metrics.gauge(
    'kennel_tenants_migration_failed',
    'Tenants whose last migration failed',
    () => upkeep.figures.failed,
  );
  metrics.gauge(
    'kennel_tenants_ahead',
    'Tenants of a newer schema version than this process has migrations',
    () => upkeep.figures.ahead,
  );
  metrics.gauge(
    'kennel_tenants_unserved',
    'Tenants whose schema version this process cannot work with',
    () => upkeep.figures.unserved,
  );
  metrics.gauge('kennel_processes', 'Processes that serve', () => upkeep.figures.processes);
  metrics.gauge(
    'kennel_processes_left_behind',
    'Processes that cannot serve all tenants once they have all migrations',
    () => upkeep.figures.processesLeftBehind,
  );
}

function lanes(metrics: Prometheus, { backstage }: App): void {
  for (const [name, pool] of Object.entries(backstage.pools)) {
    const prefix = `kennel_${name}_lanes`;
    metrics.gauge(`${prefix}_idle`, `Idle ${name} connections`, () => pool.figures.idle);
    metrics.gauge(`${prefix}_busy`, `Busy ${name} connections`, () => pool.figures.busy);
    metrics.gauge(
      `${prefix}_unterminated`,
      `Connections whose backend outlives its call`,
      () => pool.figures.unterminated,
    );
    metrics.gauge(`${prefix}_waiting`, `Calls waiting for one`, () => pool.figures.waiting);
    metrics.counter(`${prefix}_lost_total`, `Lost while busy`, () => pool.figures.lost);
  }
}

function caches(metrics: Prometheus, { directory, listener }: App): void {
  for (const name of ['keys', 'tenants'] as const) {
    const figures = () => directory.figures[name];
    const prefix = `kennel_${name}_cache`;
    metrics.gauge(`${prefix}_entries`, `Known ${name}`, () => figures().entries);
    metrics.counter(`${prefix}_hits_total`, 'Answers without a query', () => figures().hits);
    metrics.counter(`${prefix}_misses_total`, 'Answers with a query', () => figures().misses);
  }
  metrics.gauge('kennel_listener_connected', '1 while changes are announced to this process', () =>
    Number(listener.connected),
  );
}

/** Rows are counted once a minute, for all processes; attempts are this process's own. */
function emails(metrics: Prometheus, { outbox, upkeep }: App): void {
  metrics.gauge(
    'kennel_emails_waiting',
    'Emails not sent yet, in the database',
    () => upkeep.figures.emails.waiting,
  );
  metrics.gauge(
    'kennel_emails_given_up',
    'Emails that are not tried again, in the database',
    () => upkeep.figures.emails.givenUp,
  );
  metrics.counter('kennel_emails_sent_total', 'Emails sent', () => outbox.figures.sent);
  metrics.counter(
    'kennel_emails_failed_attempts_total',
    'Attempts to send an email that failed',
    () => outbox.figures.failedAttempts,
  );
  metrics.counter('kennel_emails_given_up_total', 'Emails given up', () => outbox.figures.givenUp);
}
