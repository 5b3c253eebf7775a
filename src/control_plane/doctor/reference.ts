/**
 * The expected catalog. The files of `sql/` are run again, in a temporary schema that is rolled back, so
 * none of our tables is locked or changed. The same query lists both the expected and the real schemas,
 * so they can be compared letter by letter, on any version of Postgres.
 */
import { randomBytes } from 'node:crypto';
import type { Sql } from '../../kernel/ports.ts';
import { tenantId } from '../../kernel/tenant.ts';
import { schemas } from '../../postgres/installation.ts';
import type { DatabasePlace, DedicatedPlacement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { type Migration, statementsIn } from '../migrations/migration_files.ts';
import { ledgerTable } from '../migrations/schema_migrator.ts';
import { listOf, withDedicatedTenant } from '../provisioning/dedicated_context.ts';
import { controlRights, kernelRights, placementRights } from '../provisioning/schema_rights.ts';
import { restricting, withoutStatistics } from '../provisioning/tenant_tables.ts';
import type { Fact, SchemaFacts } from './catalog.ts';
import type { Finding } from './finding.ts';
import { examineRules } from './rules.ts';
import { arrayOf, runChecks } from './sql_checks.ts';

/** The catalog of one schema. */
export type Reference = {
  facts: readonly Fact[];
  digest: string;
  /** Faults of the files themselves. */
  findings: readonly Finding[];
};

/**
 * A schema that our files make. `kernel` is that of any database with seal keys; in the main database the
 * accounts use it, too. A number is the version of tenants' tables: from 0, a schema with only its ledger,
 * to the newest.
 */
export type SchemaKind = 'control' | 'kernel' | 'main kernel' | 'dedicated kernel' | number;

/** Placeholders for tenant, generation and digests in the reference of a dedicated `kernel.tenant()`. */
const anyTenant = tenantId('00000000-0000-0000-0000-000000000000');
const anyGeneration = 2_147_483_646;
const anyDigest = '0'.repeat(64);

/** Makes each reference once. */
export class References {
  readonly #fleet: Fleet;
  readonly #place: DatabasePlace;
  readonly #made = new Map<SchemaKind, Promise<ReadonlyMap<SchemaKind, Reference>>>();

  /** @param place a database of ours, where the temporary schemas are made: by default the main one. */
  constructor(fleet: Fleet, place: DatabasePlace = fleet.installation.main) {
    this.#fleet = fleet;
    this.#place = place;
  }

  /** Makes several together, because most of the time goes into the query that lists them all. */
  async make(kinds: readonly SchemaKind[]): Promise<void> {
    const missing = kinds.filter((kind) => !this.#made.has(kind));
    const made = missing.length > 0 ? this.#make(missing) : undefined;
    if (made) for (const kind of missing) this.#made.set(kind, made);
    await Promise.all(kinds.map((kind) => this.#made.get(kind)));
  }

  async of(kind: SchemaKind): Promise<Reference> {
    await this.make([kind]);
    const reference = (await this.#made.get(kind))?.get(kind);
    if (!reference) throw new Error(`Cannot compare schemas: "${kind}" has no reference`);
    return reference;
  }

  async #make(kinds: readonly SchemaKind[]): Promise<ReadonlyMap<SchemaKind, Reference>> {
    const { migrators, installation } = this.#fleet;
    const { owner } = installation.roles;
    // Random names, because two processes may make references at the same time.
    const bySchema = new Map(
      kinds.map((kind) => [`reference_${randomBytes(8).toString('hex')}`, kind]),
    );
    const scripts = [...bySchema].map(
      ([schema, kind]) =>
        `set local search_path = "${schema}"; ${scriptOf(kind, schema, this.#fleet)}`,
    );
    const begin = `begin; set local client_min_messages = warning; set local role "${owner}";
      ${withoutDefaults(owner)}; ${this.#creating([...bySchema.keys()])}; ${scripts.join(';\n')};
      set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off`;
    const url = installation.migrationUrlOf(this.#place);
    const ended: unknown = await migrators
      .exclusive(url, fleetWork, (connection) =>
        connection.transaction(begin, async (sql) => {
          throw new RolledBack(await this.#read(sql, bySchema));
        }),
      )
      .catch((error: unknown) => error);
    if (ended instanceof RolledBack) return ended.made;
    throw ended;
  }

  /** The login of migrations may create schemas in the main database, and the owner in its own databases. */
  #creating(schemas: readonly string[]): string {
    const { installation } = this.#fleet;
    const { owner } = installation.roles;
    const asOwner = `set local role "${owner}"`;
    const create = schemas.map((schema) => `create schema "${schema}" authorization "${owner}"`);
    const isMain = this.#place === installation.main;
    return (isMain ? ['set local role none', ...create, asOwner] : create).join('; ');
  }

  async #read(
    sql: Sql,
    bySchema: ReadonlyMap<string, SchemaKind>,
  ): Promise<ReadonlyMap<SchemaKind, Reference>> {
    const { roles } = this.#fleet.installation;
    const { database } = this.#place;
    const rows = await runChecks<SchemaFacts>(sql, ['catalog.sql'], {
      ...{ app: roles.app, owner: roles.owner, ours: arrayOf(Object.values(roles)) },
      ...{ schemas: arrayOf([...bySchema.keys()]), known: '{}' },
    });
    const made = new Map<SchemaKind, Reference>();
    for (const { schema, digest, facts } of rows) {
      const kind = bySchema.get(schema);
      // The row of the whole database.
      if (kind === undefined) continue;
      const isOfTenants = typeof kind === 'number';
      const findings = isOfTenants ? await examineRules(sql, schema, { database, roles }) : [];
      made.set(kind, { digest, facts: facts ?? [], findings });
    }
    return made;
  }
}

/** A transaction commits unless its work throws, so the work throws its result. */
class RolledBack extends Error {
  override readonly name = 'RolledBack';
  readonly made: ReadonlyMap<SchemaKind, Reference>;

  constructor(made: ReadonlyMap<SchemaKind, Reference>) {
    super('Cannot commit: the references are only read');
    this.made = made;
  }
}

/** Puts the tenant and the contexts of one database into the reference. Its digest is not known. */
export function forTenant(
  { facts, findings }: Reference,
  { tenant, generation }: DedicatedPlacement,
  digests: readonly string[],
): Reference {
  const put = (text: string) =>
    text
      .replaceAll(anyTenant, tenant)
      .replaceAll(`'${anyGeneration}'`, `'${generation}'`)
      .replaceAll(listOf([anyDigest]), listOf(digests));
  const placed = facts.map((fact) => {
    const [add, make] = [fact.add && put(fact.add), fact.make && put(fact.make)];
    return { ...fact, value: put(fact.value), add, make };
  });
  return { facts: placed, digest: '', findings };
}

/** Returns the statements that fill the schema. */
function scriptOf(kind: SchemaKind, schema: string, fleet: Fleet): string {
  const { installation, sql: files } = fleet;
  const { roles } = installation;
  const { app, account } = roles;
  const ledger = ledgerTable(schema);
  switch (kind) {
    case 'control':
      return `${ledger} ${named(textOf(files.control, roles), schemas.control, schema)};
        ${controlRights(roles, schema)} ${withoutStatistics([schema], account)}`;
    case 'kernel':
      return `${ledger} ${named(textOf(files.kernel, {}), schemas.kernel, schema)};
        ${kernelRights(app, schema)}`;
    case 'main kernel':
      return `${scriptOf('kernel', schema, fleet)} ${kernelRights(account, schema)}`;
    case 'dedicated kernel': {
      const anyone = { tenant: anyTenant, generation: anyGeneration, role: app };
      const text = withDedicatedTenant(files.dedicatedContext, anyone, [anyDigest]);
      return text.replaceAll(/\bkernel\b/g, schema);
    }
    default:
      return `${placementRights({ schema, role: app })} ${ledger}
        ${textOf(files.tenant.slice(0, kind), { app })}; ${restricting([schema], app)}`;
  }
}

function textOf(files: readonly Migration[], roles: Readonly<Record<string, string>>): string {
  return files.flatMap((file) => statementsIn(file, roles)).join(';\n');
}

/** Replaces the schema's name in the text of its files by the name of the temporary schema. */
function named(text: string, schema: string, temporary: string): string {
  return text.replaceAll(new RegExp(`\\b${schema}\\.`, 'g'), `${temporary}.`);
}

/** Resets the owner's default privileges: they are findings, and must not appear in the reference. */
function withoutDefaults(owner: string): string {
  return `do $$ begin
    execute coalesce((
      select string_agg(distinct format('alter default privileges for role %I revoke all on %s from %s',
        '${owner}', kind, coalesce(quote_ident(rolname), 'public')), '; ')
      from pg_default_acl
        join (values ('r'::"char", 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types'),
          ('n', 'schemas'))
          as named (type, kind) on type = defaclobjtype
        cross join lateral aclexplode(defaclacl)
        left join pg_roles on pg_roles.oid = grantee
      where defaclnamespace = 0 and defaclrole = (select oid from pg_roles where rolname = '${owner}')
        and grantee <> defaclrole
    ), '');
    alter default privileges for role "${owner}" grant execute on functions to public;
    alter default privileges for role "${owner}" grant usage on types to public;
  end $$`;
}
