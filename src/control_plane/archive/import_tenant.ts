/**
 * Makes a new tenant of an archive. The file is read twice: first all of it is checked, before anything is
 * made; then its rows are loaded, and checked again.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { codeOf } from '../../postgres/errors.ts';
import { statementOf } from '../generated_sql.ts';
import type { Contents, Onboarding } from '../provisioning/onboarding.ts';
import { Provisioner, type ProvisionerParts } from '../provisioning/provisioner.ts';
import { stagingPlacement } from '../provisioning/staging.ts';
import { assertCopyable } from '../provisioning/stored_tables.ts';
import { tablesIn } from '../provisioning/tenant_data.ts';
import type { AddAccount, OnboardingResult, TenantRow } from '../provisioning/tenant_record.ts';
import { bytesOf } from './archive_file.ts';
import { columnsFor, insertOf, readAccountTables } from './archived_tables.ts';
import { type AccountRows, checkArchive } from './check_archive.ts';
import type { ArchiveParts } from './export_tenant.ts';
import { type ArchiveHeader, unreadable } from './format.ts';
import { copyRows, type LoadOptions, loadRows, type TenantTables } from './load_rows.ts';
import { ArchiveReader } from './read_archive.ts';

/** The parts that load the rows of an archive. */
export type LoadParts = {
  archives: ArchiveParts;
  /** The connections that serve tenants. */
  serving: ProvisionerParts['serving'];
};

export type ImportParts = LoadParts & { onboarding: Onboarding };

export type ImportOptions = {
  file: string;
  slug: Slug;
  isolation: string;
  /** Null for the least loaded server. */
  server?: string | null;
  /** Null for the archive's plan. */
  plan: string | null;
  onProgress?: (done: number, of: number) => void;
};

/** @throws {Error} when the file cannot be imported as it is; then nothing is left of the tenant. */
export async function importTenant(
  parts: ImportParts,
  { file, slug, isolation, server = null, plan, onProgress }: ImportOptions,
): Promise<OnboardingResult> {
  const { fleet, limits } = parts.archives;
  const checked = await checkArchive(file, limits);
  const { header } = checked;
  assertKnownVersion(header, fleet.sql.tenant.length);
  // Before anything is made that could not be deleted again.
  for (const placement of fleet.modes.of({ isolation }).commonPlacements()) {
    assertCopyable(await tablesIn(fleet, placement));
  }
  if (plan === null) await assertKnownPlan(parts.archives.control, header.tenant.plan);
  const total = header.tables.reduce((sum, { rows }) => sum + rows, 0);
  const rows = { file, header, onProgress: (done: number) => onProgress?.(done, total) };
  const contents: Contents = {
    provision: (tenant) => provisionFrom(parts, tenant, rows),
    addAccount: addArchived(checked.account, checked.admin.id),
    // Without the slug of the archive: the tenant reads this event, and that may be another tenant.
    details: { exported_at: header.exported_at },
  };
  const newTenant = {
    slug,
    name: header.tenant.name,
    plan: plan ?? header.tenant.plan,
    isolation,
    server,
    adminEmail: checked.admin.email,
  };
  const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
  return parts.onboarding.create(newTenant, meta, contents).catch(asRefusedRow);
}

/** @throws {Error} when no plan was named, and there is none like the archive's. */
async function assertKnownPlan(control: Sql, plan: string): Promise<void> {
  const found = await control`select from control.plans where name = ${plan}`;
  if (found.length === 0) {
    throw new Error(`Cannot import: there is no plan "${plan}", the archive's; name another one`);
  }
}

/** @throws {Error} when the archive is of a newer schema than these files make. */
export function assertKnownVersion(
  { schema_version: version }: ArchiveHeader,
  newest: number,
): void {
  if (version <= newest) return;
  throw unreadable(
    `its schema version is ${version}, and this Kennel knows versions up to ${newest}`,
  );
}

export type ArchiveRows = { file: string; header: ArchiveHeader } & LoadOptions;

/**
 * Makes the tenant's placement as the archive's migrations made it, loads the rows, and migrates both. Shared
 * tables are newer already: then the rows are loaded and migrated in a schema of their own, and copied from there.
 */
async function provisionFrom(
  parts: ImportParts,
  tenant: TenantRow,
  rows: ArchiveRows,
): Promise<number> {
  const { modes } = parts.archives.fleet;
  const mode = modes.of(tenant);
  const { schema_version: version } = rows.header;
  const newest = stepsOf(parts);
  const found = await mode.provision(tenant, stepsOf(parts, version));
  const into = { tenant, placement: modes.placementOf(tenant) };
  await loadArchive(parts, into, { rows, version: found });
  return mode.provision(tenant, newest);
}

/** Loads an archive into tables of a schema version, which is not older than the archive. */
async function loadArchive(
  parts: LoadParts,
  into: TenantTables,
  { rows, version }: { rows: ArchiveRows; version: number },
): Promise<void> {
  assertNotOlder(version, rows.header);
  if (version === rows.header.schema_version) await loadFile(parts.archives, into, rows);
  else await loadStaged(parts, into, { rows, version });
}

/** Loads the rows of an older archive by way of a schema that is migrated to the version of the tables. */
async function loadStaged(
  parts: LoadParts,
  into: TenantTables,
  { rows, version }: { rows: ArchiveRows; version: number },
): Promise<void> {
  const staging = stagingPlacement(parts.archives.fleet.installation, into.placement, into.tenant);
  try {
    await loadBeside(parts, into, { rows, version });
    await copyRows(parts.archives, into, staging.schema);
  } finally {
    await stepsOf(parts).dropSchema(staging);
  }
}

/**
 * Loads an archive into a schema beside the tenant's tables, and migrates that to a version.
 *
 * @throws {Error} when the version is older than the archive.
 */
export async function loadBeside(
  parts: LoadParts,
  { tenant, placement }: TenantTables,
  { rows, version }: { rows: ArchiveRows; version: number },
): Promise<void> {
  assertNotOlder(version, rows.header);
  const staging = stagingPlacement(parts.archives.fleet.installation, placement, tenant);
  await stepsOf(parts).dropSchema(staging);
  await stepsOf(parts, rows.header.schema_version).createSchema(staging);
  await loadFile(parts.archives, { tenant, placement: staging }, rows);
  await stepsOf(parts, version).createSchema(staging);
}

/** @throws {Error} when tables of this version are older than the archive. */
function assertNotOlder(version: number, { schema_version: archived }: ArchiveHeader): void {
  if (version >= archived) return;
  throw new Error(
    `Cannot load the archive: its schema version is ${archived}, and the tables have ${version}; run npm run migrate -- up`,
  );
}

/** The provisioning steps, with the migrations up to a version. */
function stepsOf({ archives, serving }: LoadParts, version?: number): Provisioner {
  const { fleet, control } = archives;
  const sql = { ...fleet.sql, tenant: fleet.sql.tenant.slice(0, version) };
  return new Provisioner({ fleet: { ...fleet, sql }, control, serving });
}

/** @throws {Error} when the file is not the one that was checked before. */
async function loadFile(
  parts: ArchiveParts,
  into: TenantTables,
  { file, header, ...options }: ArchiveRows,
): Promise<void> {
  const reader = await ArchiveReader.open(bytesOf(file), parts.limits);
  try {
    if (JSON.stringify(reader.header) !== JSON.stringify(header)) {
      throw unreadable('it has changed while it was read');
    }
    await loadRows(parts, into, reader, options);
  } finally {
    await reader.close();
  }
}

function addArchived(account: AccountRows, adminId: string): AddAccount {
  return async (sql, { id }, key) => {
    for (const stored of await readAccountTables(sql)) {
      const rows = account.get(stored.name);
      if (!rows || rows.lines.length === 0) continue;
      const columns = columnsFor(rows.table, stored);
      const statement = statementOf(
        ...insertOf(`control.${stored.name}`, columns, `'${id}'::uuid`),
      );
      await sql(statement, `[${rows.lines.join(',')}]`).catch(asTaken);
    }
    // A key is found by its digest, so a second row with it could hide another tenant's key.
    const known = await sql`
      select from control.api_keys as added
        join control.api_keys as other using (secret_sha256)
      where added.tenant_id = ${id} and other.id <> added.id
        and added.revoked_at is null and other.revoked_at is null
      limit 1`;
    if (known.length > 0) throw taken();
    await sql`
      insert into control.api_keys (tenant_id, id, user_id, secret_sha256)
      values (${id}, ${key.id}, ${adminId}, ${key.digest})`;
  };
}

function asTaken(error: unknown): never {
  throw error instanceof Refusal && error.code === 'conflict' ? taken() : error;
}

function taken(): Error {
  return new Error(
    'Cannot import: its users or keys exist already; export without --with-keys, or delete the other tenant first',
  );
}

/** Errors of values (class 22) and of constraints (23) are about the file. */
export function asRefusedRow(error: unknown): never {
  const cause = error instanceof Refusal ? (error.facts.cause ?? error) : error;
  if (!(cause instanceof Error) || !/^2[23]/.test(codeOf(cause))) throw error;
  throw unreadable(`a row was refused: ${cause.message.replaceAll(/\s+/g, ' ').slice(0, 200)}`);
}
