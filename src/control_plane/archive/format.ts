/** The two manifests of a tenant archive: its first line and its last one. README.md describes the format. */
import * as v from 'valibot';

/** A table of the archive. The column `tenant_id` is never one of its columns. */
export type ArchivedTable = { name: string; columns: readonly string[]; rows: number };

/** The first line. Each list of tables is in the order of their rows in the file. */
export type ArchiveHeader = {
  kennel_archive: number;
  exported_at: string;
  tenant: { slug: string; name: string; plan: string };
  /** The last migration of `sql/tenant` that the tenant's tables had. */
  schema_version: number;
  /** Users, settings and, if asked for, API keys. */
  account: readonly ArchivedTable[];
  /** The tenant's own tables; a table stands behind those that its foreign keys refer to. */
  tables: readonly ArchivedTable[];
};

/** The SHA-256 of a table's lines, with their line ends. */
export type TableDigest = { name: string; rows: number; sha256: string };

/** The last line. */
export type ArchiveTrailer = {
  account: readonly TableDigest[];
  tables: readonly TableDigest[];
};

export type ArchiveLimits = {
  /** The longest line. */
  lineBytes: number;
  /** The most bytes that a file may unpack to. */
  unpackedBytes: number;
};

/** The tables of `control` that an archive may hold, in the order of their foreign keys. */
export const accountTables = ['users', 'settings', 'api_keys'] as const;

/** The only version so far. */
export const formatVersion = 1;

/** Names of Postgres have at most 63 bytes, and its tables at most 1 600 columns. */
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(63));
const columns = v.pipe(
  v.array(name),
  v.maxLength(1_600),
  v.check((names) => areDistinct(names) && !names.includes('tenant_id')),
);
const table = v.strictObject({
  name,
  columns,
  rows: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
const tables = v.pipe(
  v.array(table),
  v.check((all) => areDistinct(all.map((one) => one.name))),
);

const header = v.strictObject({
  kennel_archive: v.literal(formatVersion),
  exported_at: v.pipe(v.string(), v.isoTimestamp()),
  tenant: v.strictObject({
    slug: v.pipe(v.string(), v.maxLength(40)),
    // Characters, as in the API, not the units of UTF-16 that `maxLength` counts.
    name: v.pipe(
      v.string(),
      v.minLength(1),
      v.check((text) => [...text].length <= 200),
      v.check(isPlain),
    ),
    plan: v.pipe(v.string(), v.maxLength(40)),
  }),
  schema_version: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  account: v.pipe(
    tables,
    v.check((all) => all.every(({ name: known }) => accountTables.some((one) => one === known))),
  ),
  tables,
});

/** Whether a text is without control characters, as the API demands it of names and addresses: terminals obey them. */
export function isPlain(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}

/** @throws {Error} when the line is not the first line of an archive of this format. */
export function parseHeader(line: string): ArchiveHeader {
  const value = parseArchiveLine(line);
  const version = v.safeParse(v.looseObject({ kennel_archive: v.number() }), value);
  if (!version.success) throw unreadable('it is not a tenant archive');
  const { kennel_archive: format } = version.output;
  if (format !== formatVersion) {
    throw unreadable(`its format is ${format}, and this Kennel reads format ${formatVersion}`);
  }
  const parsed = v.safeParse(header, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw unreadable(`its header has an invalid "${v.getDotPath(issue) ?? ''}"`);
}

/**
 * Checks a row: a JSON array with a text or null for each column.
 *
 * @throws {Error} for any other line.
 */
export function assertRow(line: string, { name: of, columns: { length } }: ArchivedTable): void {
  const row = parseArchiveLine(line);
  if (Array.isArray(row) && row.length === length && row.every(isTextOrNull)) return;
  throw unreadable(`a row of "${of}" does not fit its ${length} columns`);
}

export function unreadable(reason: string): Error {
  return new Error(`Cannot read the archive: ${reason}`);
}

/** @throws {Error} when the line is not JSON. */
export function parseArchiveLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw unreadable('a line is not JSON');
  }
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function areDistinct(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}
