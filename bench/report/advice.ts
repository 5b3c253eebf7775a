/** The section *Which mode should I pick?*: a table and sentences, made from the figures of the run. */
import { isolationModes } from '../../src/isolation/modes.ts';
import { over, ratioIn, throughput, validCase } from '../comparison.ts';
import { horizons, type Outlook, outlookOf, tenantsWithin } from '../extrapolation.ts';
import type { Result } from '../result.ts';
import { type Section, section, type Table } from './document.ts';
import { bytes, count, digits, duration, milliseconds, ratio, rounded } from './numbers.ts';

type Mode = (typeof isolationModes)[number];

export function adviceSection(result: Result): Section[] {
  if (result.costs.length === 0 && !readGroup(result)) return [];
  const tables = [measuredTable(result)];
  if (result.costs.length === isolationModes.length)
    tables.push(...horizons.map((n) => outlookTable(result, n)));
  return [section('Which mode should I pick?', { text: sentences(result), tables })];
}

function measuredTable(result: Result): Table {
  const { costs, cold, memory } = result;
  const rows: [string, (mode: Mode) => string | null][] = [
    ['read one ÷ untenanted', (mode) => readRatio(result, mode)],
    ['p99 of read one', (mode) => p99Of(result, mode)],
    [
      "a cold tenant's first request",
      (mode) => shown(cold.find((one) => one.mode === mode)?.first.p50Us, milliseconds),
    ],
    [
      'onboarded per second',
      (mode) => shown(costs.find((one) => one.mode === mode)?.onboardedPerSecond, digits),
    ],
    [
      'disk per tenant',
      (mode) => shown(costs.find((one) => one.mode === mode)?.diskBytesPerTenant, bytes),
    ],
    [
      'catalog rows per tenant',
      (mode) => shown(costs.find((one) => one.mode === mode)?.catalogRowsPerTenant, count),
    ],
    [
      'memory of a connection, after the most tenants',
      (mode) => {
        const last = memory.filter((one) => one.mode === mode).at(-1);
        return shown(last?.bytesPerBackend, bytes);
      },
    ],
    ['a migration of all of them', (mode) => migrationOf(result, mode)],
  ];
  return tableOf('measured', rows);
}

function outlookTable(result: Result, tenants: number): Table {
  const outlooks = new Map(isolationModes.map((mode) => [mode, outlookOf(result, mode, tenants)]));
  const of = (pick: (outlook: Outlook) => number | null, show: (value: number) => string) => {
    return (mode: Mode) => {
      const outlook = outlooks.get(mode);
      return shown(outlook && pick(outlook), (value) => `≈ ${show(value)}`);
    };
  };
  return tableOf(`extrapolated to ${count(tenants)} tenants`, [
    ['onboarding them takes', of(({ onboardingSeconds }) => onboardingSeconds, duration)],
    ['a migration takes', of(({ migrationSeconds }) => migrationSeconds, duration)],
    ['disk', of(({ diskBytes }) => diskBytes, bytes)],
    ['catalog rows', of(({ catalogRows }) => catalogRows, rounded)],
    ['connections that keep all warm', of(({ connections }) => connections, count)],
    ['memory of these connections', of(({ backendBytes }) => backendBytes, bytes)],
  ]);
}

function tableOf(title: string, rows: [string, (mode: Mode) => string | null][]): Table {
  const measured = rows
    .map(([name, figure]) => [name, ...isolationModes.map((mode) => figure(mode) ?? '–')])
    .filter(([, ...figures]) => figures.some((figure) => figure !== '–'));
  return { columns: [title, ...isolationModes], rows: measured };
}

function sentences(result: Result): string[] {
  const { machine, settings, costs } = result;
  const half = machine.memoryBytes / 2;
  const warm = (mode: Mode) => tenantsWithin(result, mode, half);
  const [schemas, databases] = [warm('schema'), warm('database')];
  const rate = (mode: Mode) => costs.find((one) => one.mode === mode)?.onboardedPerSecond;
  const [shared, own] = [rate('shared'), rate('database')];
  const faster = shared && own ? `, ${digits(shared / own)} times as fast as databases` : '';
  const schemaLimit =
    schemas === null
      ? ''
      : ` Backends keep every schema that they have served in memory: with ${settings.pool} connections, half of this machine's memory is used at about ${rounded(schemas)} tenants (extrapolated).`;
  const databaseLimit =
    databases === null
      ? ''
      : ` Each warm tenant keeps a connection of its own: half of this machine's memory is used at about ${rounded(databases)} warm tenants (extrapolated), and every other tenant has a cold start.`;
  return [
    `Pick shared unless a tenant needs more separation: onboarding is fastest${faster}, one migration changes the tables of all tenants, and neither connections nor catalog grow with the tenants.`,
    `Pick schema when a tenant's tables must be dumped, restored or inspected separately.${schemaLimit}`,
    `Pick database for the few tenants whose contract requires a login, a disk or a server of their own.${databaseLimit}`,
    'The mode is a property of the tenant: most can share while some have a database. Lines marked ≈ are extrapolated in a straight line from the measured points, and were not measured.',
  ];
}

function readGroup({ groups }: Result) {
  return groups.find(({ name }) => name === 'read');
}

function readRatio(result: Result, mode: Mode): string | null {
  const figure = ratioIn(readGroup(result)?.cases ?? [], [mode, 'untenanted'], throughput);
  return figure && ratio(figure);
}

function p99Of(result: Result, mode: Mode): string | null {
  const found = validCase(readGroup(result)?.cases ?? [], mode);
  return found && milliseconds(over(found, ({ p99Us }) => p99Us).median);
}

function migrationOf({ migrations }: Result, mode: Mode): string | null {
  const found = migrations.find((one) => one.mode === mode);
  return found ? `${duration(found.seconds)} for ${count(found.tenants)}` : null;
}

function shown(value: number | null | undefined, show: (value: number) => string): string | null {
  return value === null || value === undefined ? null : show(value);
}
