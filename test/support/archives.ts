/** Tenant archives in tests: exported, taken apart, and imported. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { checksumMember } from '../../src/control_plane/archive/checksum_member.ts';
import {
  type ExportedTenant,
  exportTenant,
} from '../../src/control_plane/archive/export_tenant.ts';
import type {
  ArchivedTable,
  ArchiveHeader,
  ArchiveTrailer,
} from '../../src/control_plane/archive/format.ts';
import { importTenant } from '../../src/control_plane/archive/import_tenant.ts';
import type { Services } from '../../src/services.ts';
import { slugOf } from './more_tables.ts';

export type OpenArchive = { header: ArchiveHeader; rows: string[]; trailer: ArchiveTrailer };

/** Exports a tenant into a file. */
export async function exportTo(
  file: string,
  services: Services,
  slug: string,
  withKeys = false,
): Promise<void> {
  await services.exports.save(await exported(services, slug), file, { withKeys });
}

/** The bytes of a tenant's archive, as they come. */
export async function bytesOf(services: Services, slug: string, withKeys = false) {
  const options = { withKeys, isBudgeted: true };
  return exportTenant(services.archives, await exported(services, slug), options);
}

async function exported({ exports }: Services, slug: string): Promise<ExportedTenant> {
  const tenant = await exports.find(slugOf(slug));
  if (tenant) return tenant;
  throw new Error(`Cannot export "${slug}": there is no such tenant`);
}

export function importFrom(
  file: string,
  { onboarding, archives, pools }: Services,
  name: string,
  isolation: string,
) {
  const slug = slugOf(name);
  const parts = { onboarding, archives, serving: pools.serving };
  return importTenant(parts, { file, slug, isolation, plan: null });
}

export async function openArchive(file: string): Promise<OpenArchive> {
  const lines = gunzipSync(await readFile(file))
    .toString()
    .trimEnd()
    .split('\n');
  return {
    header: JSON.parse(lines[0] ?? ''),
    rows: lines.slice(1, -2),
    trailer: JSON.parse(lines.at(-2) ?? ''),
  };
}

/** A file with all checksums right, whatever its lines say: a forger has the program, too. */
export function sealArchive({ header, rows }: Pick<OpenArchive, 'header' | 'rows'>): Buffer {
  const left = [...rows];
  const digest = ({ name, rows: count }: ArchivedTable) => {
    const text = left.splice(0, count).map((row) => `${row}\n`);
    return { name, rows: count, sha256: sha256(Buffer.from(text.join(''))) };
  };
  const trailer = { account: header.account.map(digest), tables: header.tables.map(digest) };
  return withChecksum([JSON.stringify(header), ...rows, JSON.stringify(trailer), ''].join('\n'));
}

/** Any text as the first member, and its checksum as the second one. */
export function withChecksum(text: string | Buffer): Buffer {
  const member = gzipSync(text);
  return Buffer.concat([member, checksumMember(sha256(member))]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
