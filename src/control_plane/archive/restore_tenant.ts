/**
 * Replaces the rows of a tenant by those of its archive, in one transaction. Its users, keys and settings
 * stay. The rows that are replaced are written to a file before.
 */
import { dirname, join } from 'node:path';
import { Refusal } from '../../kernel/errors.ts';
import type { Db } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { recordChange } from '../audit/record.ts';
import { schemaVersion } from '../provisioning/tenant_schema.ts';
import { saveArchive } from './archive_file.ts';
import { checkArchive } from './check_archive.ts';
import { exportTenant } from './export_tenant.ts';
import {
  asRefusedRow,
  assertKnownVersion,
  type ImportParts,
  loadArchive,
} from './import_tenant.ts';
import type { TenantExports } from './tenant_exports.ts';

export type RestoreParts = ImportParts & {
  exports: TenantExports;
  control: Db;
  newId: () => string;
  now: () => Date;
};

export type RestoreOptions = {
  file: string;
  slug: Slug;
  onProgress: (done: number, of: number) => void;
};

/** The restored rows, and the file with those that they replace. */
export type Restored = { rows: number; replaced: string };

/** @throws {Error} when the file cannot be restored as it is; then no row has changed. */
export async function restoreTenant(
  parts: RestoreParts,
  options: RestoreOptions,
): Promise<Restored> {
  const { file, slug } = options;
  const { fleet, limits } = parts.archives;
  const { header } = await checkArchive(file, limits);
  const { slug: archived } = header.tenant;
  if (archived !== slug) {
    throw new Error(`Cannot restore "${slug}": the archive is of the tenant "${archived}"`);
  }
  assertKnownVersion(header, fleet.sql.tenant.length);
  const restored = await parts.onboarding.locked(slug, () => replaceRows(parts, options, header));
  if (restored) return restored;
  throw new Refusal('conflict', { detail: `Another process works on "${slug}"; try again later` });
}

async function replaceRows(
  parts: RestoreParts,
  { file, slug, onProgress }: RestoreOptions,
  header: Awaited<ReturnType<typeof checkArchive>>['header'],
): Promise<Restored> {
  const { archives, exports, control, newId, now } = parts;
  const tenant = await exports.find(slug);
  if (!tenant) throw new Error(`Cannot restore "${slug}": there is no such tenant`);
  const placement = archives.fleet.modes.placementOf(tenant);
  const replaced = join(dirname(file), `${slug}-before-restore-${now().getTime()}.kennel.gz`);
  await saveArchive(replaced, exportTenant(archives, tenant, { withKeys: false }));
  const rows = header.tables.reduce((sum, table) => sum + table.rows, 0);
  const onRows = (done: number) => onProgress(done, rows);
  await loadArchive(
    parts,
    { tenant, placement },
    {
      rows: { file, header, replaces: true, onProgress: onRows },
      version: await schemaVersion(archives.fleet, placement),
    },
  ).catch(asRefusedRow);
  const details = { rows, exported_at: header.exported_at };
  await control.transaction((sql) =>
    recordChange(sql, {
      ...{ id: newId(), event: 'tenant_restored', actor: 'operator', requestId: null },
      ...{ tenant, details },
    }),
  );
  return { rows, replaced };
}
