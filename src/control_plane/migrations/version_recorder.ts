/**
 * Writes the registry's copy of schema versions, so that a run with nothing to do needs no query for each
 * schema. Each change of a tenant is announced to every process, and Postgres lets one transaction with an
 * announcement commit at a time. So results that arrive while a statement runs are written by the next one.
 *
 * A killed run may leave schemas that are newer than their copy: the next run finds them up to date.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { recordFile } from './checksums.ts';
import type { Migration } from './migration_files.ts';

export type SchemaResult = {
  tenants: readonly Slug[];
  version: number;
  /** The error of the migration that failed, or null. */
  error: string | null;
};

export class VersionRecorder {
  readonly #control: Sql;
  readonly #errorChars: number;
  /** Versions of files that are recorded, or about to be. */
  readonly #files = new Map<number, Promise<void>>();
  #waiting: SchemaResult[] = [];
  #latest: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  /** @param errorChars the longest error that is kept. */
  constructor(control: Sql, { errorChars }: { errorChars: number }) {
    this.#control = control;
    this.#errorChars = errorChars;
  }

  /** Records a file that was applied, once for all schemas. */
  file(file: Migration): Promise<void> {
    const known = this.#files.get(file.version);
    if (known) return known;
    const recorded = recordFile(this.#control, file);
    this.#files.set(file.version, recorded);
    recorded.catch(() => this.#files.delete(file.version));
    return recorded;
  }

  /** Records the version of a schema's tenants. Resolves when it is written. */
  schema(result: SchemaResult): Promise<void> {
    this.#waiting.push(result);
    this.#next ??= this.#latest.then(() => this.#write());
    return this.#next;
  }

  #write(): Promise<void> {
    const results = this.#waiting;
    this.#waiting = [];
    this.#next = null;
    const rows = results.flatMap(({ tenants, version, error }) =>
      tenants.map((slug) => ({ slug, version, error })),
    );
    const written = this.#control`
      update control.tenants
      set schema_version = greatest(schema_version, version),
        migration_error = left(error, ${this.#errorChars})
      from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
        as result (slug text, version integer, error text)
      where tenants.slug = result.slug`.then(() => {});
    this.#latest = written.catch(() => {});
    return written;
  }
}
