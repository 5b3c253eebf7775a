/** The costs of tenants apart from requests: onboarding, migration, memory, cold start. */
import type { Result } from '../result.ts';
import { type Section, section } from './document.ts';
import { bytes, count, digits, duration, milliseconds, withSpread } from './numbers.ts';

export function costSections(result: Result): Section[] {
  return [
    ...coldSection(result),
    ...tenantSection(result),
    ...memorySection(result),
    ...migrationSection(result),
    ...partSection(result),
    ...skippedSection(result),
  ];
}

function coldSection({ cold }: Result): Section[] {
  if (cold.length === 0) return [];
  const rows = cold.map(({ mode, tenants, first, second }) => [
    `${mode}, ${tenants} tenants`,
    milliseconds(first.p50Us),
    milliseconds(first.p99Us),
    milliseconds(second.p50Us),
    milliseconds(second.p99Us),
  ]);
  const bars = cold.map(({ mode, first }) => ({
    label: mode,
    value: first.p50Us,
    low: first.p50Us,
    high: first.p99Us,
    series: mode,
  }));
  return [
    section("A cold tenant's first request", {
      text: [
        'The first request of a tenant that is in no cache, and its second request; one request at a time.',
      ],
      tables: [{ columns: ['', 'first, p50', 'first, p99', 'second, p50', 'second, p99'], rows }],
      charts: [{ kind: 'bars', title: 'First request: p50, up to p99', show: milliseconds, bars }],
    }),
  ];
}

function tenantSection({ costs, settings }: Result): Section[] {
  if (costs.length === 0) return [];
  const rows = costs.map((one) => [
    `${one.mode}, ${count(one.tenants)} tenants`,
    digits(one.onboardedPerSecond),
    bytes(one.diskBytesPerTenant),
    count(one.catalogRowsPerTenant),
  ]);
  const bars = costs.map(({ mode, onboardedPerSecond: value }) => ({
    label: mode,
    value,
    low: value,
    high: value,
    series: mode,
  }));
  return [
    section('What a tenant costs', {
      text: [
        `Onboarded by the product's own code, three at a time, with ${settings.petsPerTenant} pets each. Disk and catalog rows are the growth of the server divided by the number of tenants, with the rows of the registry.`,
      ],
      tables: [{ columns: ['', 'onboarded/s', 'disk', 'catalog rows'], rows }],
      charts: [{ kind: 'bars', title: 'Tenants onboarded per second', show: digits, bars }],
    }),
  ];
}

function memorySection({ memory, known }: Result): Section[] {
  if (memory.length === 0 && !known) return [];
  const rows = memory.map(({ mode, tenants, connections, bytesPerBackend }) => [
    `${mode}, ${count(tenants)} tenants`,
    count(connections),
    bytesPerBackend === null ? '–' : bytes(bytesPerBackend),
    bytesPerBackend === null ? '–' : bytes(bytesPerBackend * connections),
  ]);
  const text = known
    ? [
        `The serving process itself grew from ${bytes(known.beforeBytes)} to ${bytes(known.afterBytes)} (resident) while it served the first request of ${count(known.tenants)} tenants.`,
      ]
    : [];
  const columns = ['served', 'connections', 'private memory of each', 'together'];
  const tables = rows.length > 0 ? [{ columns, rows }] : [];
  return [section('Connections and memory', { text, tables })];
}

function migrationSection({ migrations }: Result): Section[] {
  if (migrations.length === 0) return [];
  const rows = migrations.map(({ mode, tenants, places, seconds }) => [
    `${mode}, ${count(tenants)} tenants`,
    count(places),
    duration(seconds),
    digits(places / seconds),
  ]);
  const text = [
    'One more column for all tenants, by `npm run migrate`, four placements at a time.',
  ];
  const tables = [{ columns: ['', 'placements', 'time', 'placements/s'], rows }];
  return [section('Migration', { text, tables })];
}

function partSection({ parts }: Result): Section[] {
  if (parts.length === 0) return [];
  const rows = parts.map(({ name, nsPerCall }) => [name, withSpread(nsPerCall)]);
  return [section('Parts alone', { tables: [{ columns: ['', 'ns per call'], rows }] })];
}

function skippedSection({ skipped }: Result): Section[] {
  if (skipped.length === 0) return [];
  return [section('Not run', { text: skipped.map(({ suite, reason }) => `${suite}: ${reason}`) })];
}
