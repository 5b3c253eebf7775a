/** The figures behind `/metrics` that are not of one request: limiter, caches, lanes, audit. */
import type { Prometheus } from './adapters/metrics/prometheus.ts';
import type { App } from './app.ts';

export function registerFigures(metrics: Prometheus, app: App): void {
  const { directory, denials, listener, limiter, backstage } = app;
  const { serving, control } = backstage.pools;
  const { gauge, counter } = {
    gauge: metrics.gauge.bind(metrics),
    counter: metrics.counter.bind(metrics),
  };

  gauge('kennel_lanes_idle', 'Idle tenant connections', () => serving.figures.idle);
  gauge('kennel_lanes_busy', 'Tenant connections at work', () => serving.figures.busy);
  gauge('kennel_lanes_waiting', 'Calls waiting for a lane', () => serving.figures.waiting);
  counter('kennel_lanes_lost_total', 'Lanes lost while at work', () => serving.figures.lost);
  gauge('kennel_control_lanes_busy', 'Control connections at work', () => control.figures.busy);

  for (const cache of ['keys', 'tenants'] as const) {
    const figures = () => directory.figures[cache];
    gauge(`kennel_${cache}_cached`, `Known ${cache} in the cache`, () => figures().present);
    counter(
      `kennel_${cache}_cache_hits_total`,
      `Look-ups of ${cache} without a query`,
      () => figures().hits,
    );
    counter(
      `kennel_${cache}_cache_misses_total`,
      `Look-ups of ${cache} with a query`,
      () => figures().misses,
    );
  }
  gauge('kennel_listener_connected', '1 while changes are announced to this process', () =>
    Number(listener.connected),
  );
  gauge('kennel_limiter_degraded', '1 while this process limits without Redis', () =>
    Number(limiter.degraded()),
  );
  gauge('kennel_denials_held', 'Denials not written yet', () => denials.figures.held);
  counter(
    'kennel_denials_dropped_total',
    'Denials lost to a full log',
    () => denials.figures.dropped,
  );
}
