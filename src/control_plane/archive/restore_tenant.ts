/**
 * Replaces the rows of a tenant with those of its archive while it is served. Its users, keys and settings stay.
 * The rows that are replaced are written to a file before.
 */
import { dirname, join } from 'node:path';
import type { TenantRef } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import type { Moves } from '../moves/moves.ts';
import type { Replacement, ReplaceWatcher } from '../moves/replace_job.ts';
import { paced } from '../pace.ts';
import { schemaVersion } from '../provisioning/tenant_schema.ts';
import { assertWritable, saveArchive } from './archive_file.ts';
import { checkArchive } from './check_archive.ts';
import { exportTenant } from './export_tenant.ts';
import type { ArchiveHeader } from './format.ts';
import { asRefusedRow, assertKnownVersion, type LoadParts, loadBeside } from './import_tenant.ts';
import type { TenantExports } from './tenant_exports.ts';

export type RestoreParts = LoadParts & {
  exports: TenantExports;
  moves: Moves;
  now: () => Date;
};

export type RestoreOptions = ReplaceWatcher & {
  file: string;
  slug: Slug;
  /** The tenant of the file, if it is another one: its rows must be asked for by name. */
  from?: Slug | undefined;
  onProgress: (done: number, of: number) => void;
};

/** The restored rows, how long the tenant's writes waited, and the file with the rows before. */
export type Restored = { rows: number; pauseMs: number; replaced: string };

/**
 * @throws {Error} when the file cannot be restored as it is.
 * @throws {Refusal} `conflict` while the tenant is moved, created or deleted, or during a migration.
 */
export async function restoreTenant(
  parts: RestoreParts,
  options: RestoreOptions,
): Promise<Restored> {
  const { file, slug, from = slug, onStep = () => {} } = options;
  const { fleet, limits } = parts.archives;
  const { header } = await checkArchive(file, limits, paced(fleet.restorePace));
  const { slug: archived } = header.tenant;
  if (archived !== from) {
    throw new Error(
      `Cannot restore "${slug}": the archive is of the tenant "${archived}" (see --from)`,
    );
  }
  assertKnownVersion(header, fleet.sql.tenant.length);
  if (!(await parts.exports.find(slug))) {
    throw new Error(`Cannot restore "${slug}": there is no such tenant`);
  }
  await assertWritable(dirname(file));
  const name = `${slug}-before-restore-${parts.now().getTime()}.kennel.gz`;
  const replaced = join(dirname(file), name);
  const replacement = replacementOf(parts, { ...options, header, replaced });
  let isSaved = false;
  const save = async (tenant: TenantRef) => {
    await replacement.save(tenant);
    isSaved = true;
  };
  try {
    const work = parts.moves.replace(slug, { ...replacement, save }, { onStep });
    const move = await work.catch(asRefusedRow);
    return { rows: move.rows, pauseMs: move.pause_ms ?? 0, replaced };
  } catch (error) {
    if (!isSaved || !(error instanceof Error)) throw error;
    // The outcome may be unknown, so the file may have the only copy of the rows.
    throw new Error(`${error.message}; the rows before it are also in ${replaced}`, {
      cause: error,
    });
  }
}

function replacementOf(
  parts: RestoreParts,
  {
    file,
    slug,
    header,
    replaced,
    onProgress,
  }: RestoreOptions & { header: ArchiveHeader; replaced: string },
): Replacement {
  const { archives, exports } = parts;
  const { fleet } = archives;
  const of = header.tables.reduce((sum, table) => sum + table.rows, 0);
  const rows = {
    ...{ file, header, rest: paced(fleet.restorePace) },
    onProgress: (done: number) => onProgress(done, of),
  };
  return {
    load: async (tenant) => {
      const placement = fleet.modes.placementOf(tenant);
      const version = await schemaVersion(fleet, placement);
      await loadBeside(parts, { tenant, placement }, { rows, version });
    },
    save: async () => {
      const tenant = await exports.find(slug);
      if (!tenant) throw new Error(`Cannot restore "${slug}": it was deleted`);
      const options = { withKeys: false, rest: paced(fleet.stoppedPace) };
      await saveArchive(replaced, exportTenant(archives, tenant, options));
    },
    details: { exported_at: header.exported_at },
  };
}
