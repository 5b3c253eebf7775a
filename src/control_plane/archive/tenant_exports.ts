/** Exports that are recorded in the audit trail once they are certain to begin, and before their first byte leaves. */
import type { Actor } from '../../kernel/audit_event.ts';
import { notFound, Refusal, unavailable } from '../../kernel/errors.ts';
import type { Db, Sql, TenantRef } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { recordChange } from '../audit/record.ts';
import { saveArchive } from './archive_file.ts';
import {
  type ArchiveParts,
  type ExportedTenant,
  type ExportOptions,
  exportTenant,
} from './export_tenant.ts';
import type { Spool } from './spool.ts';

export type TenantExportsParts = {
  archives: ArchiveParts;
  control: Db;
  /** Archives on their way to clients. */
  downloads: Pick<Spool, 'through'>;
  newId: () => string;
  /** How long a tenant's own admins wait for the next export. */
  everyMs: number;
};

/** Who exports, and by which request. */
export type Exporter = { actor: Actor; requestId: string | null };

export class TenantExports {
  readonly #parts: TenantExportsParts;

  constructor(parts: TenantExportsParts) {
    this.#parts = parts;
  }

  /** A download by the operator. @throws {Refusal} `unavailable` while too many run, or the disk is full. */
  byOperator(tenant: ExportedTenant, requestId: string): AsyncGenerator<Buffer> {
    const exporter = { actor: 'operator', requestId } as const;
    return this.#download(tenant, { exporter, everyMs: 0 });
  }

  /**
   * A download by an admin of the tenant.
   *
   * @throws {Refusal} `rate_limited` too soon after the last one; `unavailable` as above.
   */
  byTenant(tenant: ExportedTenant, exporter: Exporter): AsyncGenerator<Buffer> {
    return this.#download(tenant, { exporter, everyMs: this.#parts.everyMs });
  }

  /**
   * Writes a new file for the operator. Returns its size.
   *
   * @throws {Refusal} `unavailable` while too many exports run.
   * @throws {Error} when the file cannot be written; then nothing is recorded.
   */
  save(tenant: ExportedTenant, file: string, options: ExportOptions): Promise<number> {
    const exporter = { actor: 'operator', requestId: null } as const;
    const { withKeys } = options;
    const bytes = exportTenant(this.#parts.archives, tenant, { ...options, isBudgeted: true });
    return saveArchive(file, bytes, () => this.#record(tenant, { exporter, withKeys, everyMs: 0 }));
  }

  /** Returns a tenant that can be exported; null when there is none. */
  async find(slug: Slug): Promise<ExportedTenant | null> {
    const [tenant] = await this.#parts.control<ExportedTenant>`
      select id, isolation, server, generation, slug, name, plan from control.tenants
      where slug = ${slug} and status in ('active', 'suspended')`;
    return tenant ?? null;
  }

  /** @throws {Refusal} `rate_limited` when the tenant must wait for its next export. */
  assertAllowed({ id }: TenantRef): Promise<void> {
    return assertAllowed(this.#parts.control, id, this.#parts.everyMs);
  }

  async *#download(
    tenant: ExportedTenant,
    { exporter, everyMs }: { exporter: Exporter; everyMs: number },
  ): AsyncGenerator<Buffer> {
    const { archives, downloads } = this.#parts;
    const options = { withKeys: false, isBudgeted: true };
    const exported = exportTenant(archives, tenant, options);
    const isOperator = exporter.actor === 'operator';
    const bytes = downloads.through(isOperator ? exported : hidingFaults(exported));
    try {
      // A failure to begin is no export. The first bytes have passed through the disk.
      const first = await bytes.next();
      await this.#record(tenant, { exporter, withKeys: false, everyMs });
      if (!first.done) yield first.value;
      yield* bytes;
    } finally {
      await bytes.return(null);
    }
  }

  #record(
    tenant: ExportedTenant,
    { exporter, withKeys, everyMs }: { exporter: Exporter; withKeys: boolean; everyMs: number },
  ): Promise<void> {
    const { control, newId } = this.#parts;
    return control.transaction(async (sql) => {
      // Two requests at the same moment take turns, and the second one finds the first one's event.
      const [present] = await sql`
        select from control.tenants
        where id = ${tenant.id} and status in ('active', 'suspended')
        for no key update`;
      // Its deletion may have begun before the snapshot: then rows are missing.
      if (!present) notFound();
      if (everyMs > 0) await assertAllowed(sql, tenant.id, everyMs);
      const details = { with_keys: withKeys };
      await recordChange(sql, {
        id: newId(),
        event: 'tenant_exported',
        ...exporter,
        tenant,
        details,
      });
    });
  }
}

/** Tenants learn neither the name of their server nor a fault of the tables. */
async function* hidingFaults(bytes: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    if (!(error instanceof Refusal) || !error.facts.operatorOnly) throw error;
    if (error.code !== 'unavailable') throw new Error(error.message);
    throw unavailable('The database is not available; try again later', error);
  }
}

async function assertAllowed(sql: Sql, id: string, everyMs: number): Promise<void> {
  const [last] = await sql<{ left: number }>`
    select ceil(${everyMs} / 1000.0 - extract(epoch from now() - time))::int as left
    from control.audit_events
    where event = 'tenant_exported' and tenant_id = ${id} and actor like 'user:%'
    order by seq desc
    limit 1`;
  if (!last || last.left <= 0) return;
  throw new Refusal('rate_limited', {
    detail: 'The tenant was exported a short time ago; try again later',
    retryAfterSeconds: last.left,
  });
}
