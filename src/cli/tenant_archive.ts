/** `npm run tenants -- export | import | restore`: one tenant as a file. */
import { importTenant } from '../control_plane/archive/import_tenant.ts';
import { restoreTenant } from '../control_plane/archive/restore_tenant.ts';
import { assertServer } from '../control_plane/servers/server_list.ts';
import { isolationModes } from '../isolation/modes.ts';
import { printable } from '../kernel/printable_text.ts';
import type { Slug } from '../kernel/tenant.ts';
import { UsageError } from './arguments.ts';
import { print, printJson, type Work } from './command.ts';
import { withProgress } from './progress.ts';
import { slugArgument } from './where.ts';

type ExportValues = { 'with-keys'?: boolean | undefined; json?: boolean | undefined };

/** Writes a tenant to a new file. */
export function exportToFile(
  slug: Slug,
  file: string,
  { 'with-keys': withKeys = false, json }: ExportValues,
): Work {
  return async (services) => {
    const tenant = await services.exports.find(slug);
    if (!tenant) throw new Error(`Cannot export "${slug}": there is no such tenant`);
    const counted = { rows: 0 };
    const bytes = await withProgress((onProgress) =>
      services.exports.save(tenant, file, {
        withKeys,
        onProgress: (done, of) => {
          counted.rows = done;
          onProgress(done, of);
        },
      }),
    );
    if (json) printJson({ slug, file, ...counted, bytes });
    else print(`${slug}: ${counted.rows} rows in ${file} (${bytes} bytes)`);
    return 0;
  };
}

type ImportValues = {
  isolation?: string | undefined;
  server?: string | undefined;
  plan?: string | undefined;
  json?: boolean | undefined;
};

/** Makes a new tenant of a file. */
export function importFile(
  file: string,
  slug: Slug,
  { isolation, server, plan, json }: ImportValues,
): Work {
  if (isolation !== undefined && !isolationModes.some((mode) => mode === isolation)) {
    throw new UsageError(`Cannot use --isolation: expected one of ${isolationModes.join(', ')}`);
  }
  return async ({ onboarding, archives, pools, control }, config) => {
    if (server !== undefined) await assertServer(control, server);
    const parts = { onboarding, archives, serving: pools.serving };
    const created = await withProgress((onProgress) =>
      importTenant(parts, {
        ...{ file, slug, onProgress },
        plan: plan ?? null,
        server: server ?? null,
        isolation: isolation ?? config.isolation,
      }),
    );
    if (json) printJson(created);
    else {
      const { tenant, admin } = created;
      print(`${tenant.slug} is ready (${tenant.plan}, ${tenant.isolation})`);
      print(`admin:   ${printable(admin.email)}`);
      print(`api key: ${admin.api_key}`);
    }
    return 0;
  };
}

/** Replaces the tenant's rows with those of a file, and names the file with the replaced ones. */
export function restoreFile(
  slug: Slug,
  file: string,
  { from: other, json }: { from?: string | undefined; json?: boolean | undefined },
): Work {
  const from = other === undefined ? slug : slugArgument(other);
  return async ({ archives, pools, exports, moves }) => {
    const parts = { archives, exports, moves, serving: pools.serving, now: () => new Date() };
    const { rows, pauseMs, replaced } = await withProgress((onProgress) =>
      restoreTenant(parts, { file, from, slug, onProgress }),
    );
    const pause = Math.round(pauseMs);
    if (json) printJson({ slug, rows, pause_ms: pause, replaced });
    else {
      print(`${slug}: ${rows} rows of ${file}; writes waited ${pause} ms at most`);
      print(`the replaced rows are in ${replaced}`);
    }
    return 0;
  };
}
