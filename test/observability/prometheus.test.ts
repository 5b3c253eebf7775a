import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settingsFrom } from '../../src/kernel/settings.ts';
import { parseSlug, type Tenant, tenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { type CountedRequest, Prometheus } from '../../src/observability/prometheus.ts';
import { lint, samples } from '../support/exposition.ts';

const tenants = 200;

function prometheus() {
  const clock = { ms: 0 };
  const metrics = new Prometheus({
    bucketsSeconds: [0.01, 0.1, 1],
    tenants,
    ranked: 1_000,
    windowMs: 1_000,
    nowMs: () => clock.ms,
  });
  return { metrics, clock };
}

function tenant(name: string): Tenant {
  const slug = parseSlug(name);
  assert.ok(slug, `Cannot use "${name}" as a slug`);
  return {
    id: tenantId('01900000-0000-7000-8000-000000000000'),
    slug,
    name,
    status: 'active',
    isolation: 'shared',
    server: 'main',
    generation: 0,
    plan: { name: 'free', requestsPerHour: 100, burst: 100 },
    settings: settingsFrom({}),
    schemaVersion: 1,
    requiredVersion: 0,
  };
}

function answered(slug: string | null, { method = 'GET', status = 200, durationMs = 5 } = {}) {
  const named = slug === null ? null : tenant(slug);
  const record: CountedRequest['record'] = {
    endpoint: '/api/pets',
    tenant: named,
    rateLimit: null,
  };
  return { method, record, status, durationMs };
}

async function lines(metrics: Prometheus, beginning: string): Promise<string[]> {
  const { text } = await metrics.render();
  return text.split('\n').filter((line) => line.startsWith(beginning));
}

describe('Prometheus', () => {
  it('counts requests by tenant, endpoint, method and status', async () => {
    const { metrics } = prometheus();
    metrics.observe(answered('acme-pets'));
    metrics.observe(answered('acme-pets'));
    metrics.observe(answered('acme-pets', { method: 'POST', status: 429 }));
    assert.deepEqual(await lines(metrics, 'api_requests_total'), [
      'api_requests_total{tenant="acme-pets",endpoint="/api/pets",method="GET",status="200"} 2',
      'api_requests_total{tenant="acme-pets",endpoint="/api/pets",method="POST",status="429"} 1',
    ]);
  });

  it('counts a duration in every bucket that is wide enough', async () => {
    const { metrics } = prometheus();
    for (const durationMs of [10, 50, 2_000]) {
      metrics.observe(answered('acme-pets', { durationMs }));
    }
    const labels = 'tenant="acme-pets",endpoint="/api/pets"';
    assert.deepEqual(await lines(metrics, 'api_request_duration_seconds'), [
      `api_request_duration_seconds_bucket{${labels},le="0.01"} 1`,
      `api_request_duration_seconds_bucket{${labels},le="0.1"} 2`,
      `api_request_duration_seconds_bucket{${labels},le="1"} 2`,
      `api_request_duration_seconds_bucket{${labels},le="+Inf"} 3`,
      `api_request_duration_seconds_sum{${labels}} 2.06`,
      `api_request_duration_seconds_count{${labels}} 3`,
    ]);
  });

  it('observes no duration of refusals', async () => {
    const { metrics } = prometheus();
    for (const status of [401, 404, 429, 499, 503])
      metrics.observe(answered('acme-pets', { status }));
    const duration = 'api_request_duration_seconds';
    assert.deepEqual(await lines(metrics, duration), []);
    const limited = { allowed: false, remaining: 0, retryAfterSeconds: 1, resetSeconds: 1 };
    const request = answered('acme-pets', { status: 404 });
    metrics.observe({ ...request, record: { ...request.record, rateLimit: limited } });
    assert.deepEqual(await lines(metrics, duration), []);
    metrics.observe(answered('acme-pets', { status: 304 }));
    const paid = { ...limited, allowed: true };
    metrics.observe({ ...request, record: { ...request.record, rateLimit: paid } });
    assert.match((await lines(metrics, `${duration}_count`)).join(), / 2$/);
  });

  it('separates durations of 0.5 and 2 milliseconds by its buckets', async () => {
    const metrics = new Prometheus({ ...limits.metrics, nowMs: () => 0 });
    for (const durationMs of [0.4, 2]) metrics.observe(answered('acme-pets', { durationMs }));
    const filled = samples((await metrics.render()).text).filter(({ name, value }) => {
      return name === 'api_request_duration_seconds_bucket' && value > 0;
    });
    const [fast, , slow] = filled;
    assert.match(`${fast?.labels} ${fast?.value}`, /le="0\.0005" 1$/);
    assert.match(`${slow?.labels} ${slow?.value}`, /le="0\.0025" 2$/);
  });

  it('labels a request without a tenant as none, and an unknown method as OTHER', async () => {
    const { metrics } = prometheus();
    metrics.observe(answered(null, { method: 'BREW', status: 401 }));
    assert.deepEqual(await lines(metrics, 'api_requests_total'), [
      'api_requests_total{tenant="none",endpoint="/api/pets",method="OTHER",status="401"} 1',
    ]);
  });

  it('names at most 200 of 5 000 tenants, and counts every request', async () => {
    const { metrics } = prometheus();
    for (let index = 0; index < 5_000; index += 1) metrics.observe(answered(`tenant-${index}`));
    const requests = await lines(metrics, 'api_requests_total');
    assert.equal(requests.length, tenants + 1);
    assert.match(requests.join('\n'), /tenant="other".* 4800$/m);
  });

  it('removes the series of a tenant that fell out of the ranking', async () => {
    const { metrics, clock } = prometheus();
    for (let index = 0; index < tenants; index += 1) metrics.observe(answered(`tenant-${index}`));
    for (let time = 0; time < 3; time += 1) metrics.observe(answered('newcomer'));
    clock.ms = 1_000;
    metrics.observe(answered('newcomer'));
    const named = await lines(metrics, 'api_requests_total');
    assert.equal(named.filter((line) => line.includes('"newcomer"')).length, 1);
    assert.equal(named.filter((line) => line.includes('"tenant-')).length, tenants - 1);
  });

  it('forgets a deleted tenant', async () => {
    const { metrics } = prometheus();
    metrics.observe(answered('acme-pets'));
    metrics.forget('acme-pets');
    const { text } = await metrics.render();
    assert.doesNotMatch(text, /acme-pets/);
  });

  it('reads gauges and counters at the time of the scrape', async () => {
    const { metrics } = prometheus();
    const connections = { busy: 3, opened: 7 };
    metrics.gauge('kennel_connections_busy', 'Connections at work', () => connections.busy);
    metrics.counter(
      'kennel_connections_opened_total',
      'Connections opened',
      () => connections.opened,
    );
    await metrics.render();
    connections.busy = 0;
    connections.opened = 8;
    const values = samples((await metrics.render()).text).filter(({ name }) =>
      /connections/.test(name),
    );
    assert.deepEqual(values, [
      { name: 'kennel_connections_busy', labels: '', value: 0 },
      { name: 'kennel_connections_opened_total', labels: '', value: 8 },
    ]);
  });

  it('shows gauges of one name by label, and drops labels that are gone', async () => {
    const { metrics } = prometheus();
    const counts = new Map([['shared', 2]]);
    metrics.gauges('kennel_tenants', 'Tenants', ['isolation'], () =>
      [...counts].map(([isolation, value]) => ({ labels: { isolation }, value })),
    );
    assert.deepEqual(await lines(metrics, 'kennel_tenants'), [
      'kennel_tenants{isolation="shared"} 2',
    ]);
    counts.clear();
    assert.deepEqual(await lines(metrics, 'kennel_tenants'), []);
  });

  it('passes the linter, with metrics of the process and the runtime', async () => {
    const { metrics } = prometheus();
    metrics.observe(answered('acme-pets'));
    metrics.observe({
      ...answered(null),
      record: { endpoint: '/a"b\\c\nd', tenant: null, rateLimit: null },
    });
    metrics.gauge('kennel_connections_busy', 'Connections at work', () => 1);
    const { contentType, text } = await metrics.render();
    assert.deepEqual(lint(text), []);
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^process_cpu_seconds_total /m);
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
  });
});

describe('lint()', () => {
  it('finds each kind of fault', () => {
    const faulty = [
      '# HELP a_total A',
      '# TYPE a_total gauge',
      'a_total 1',
      'a_total 1',
      '# HELP b_ms B',
      '# TYPE b_ms gauge',
      'c{x="1} 1',
      'd 1',
    ].join('\n');
    assert.deepEqual(lint(faulty), [
      'The last line does not end',
      'a_total is there twice',
      'The gauge a_total ends in _total',
      'b_ms is in no base unit',
      'Unreadable: c{x="1} 1',
      'd is not of the family b_ms',
    ]);
  });
});
