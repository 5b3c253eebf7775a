/**
 * The expected catalog. The files of `sql/` are run again, in temporary schemas that are rolled back, so
 * none of our tables is locked or changed. The same query lists both the expected and the real schemas,
 * so they can be compared letter by letter, on any version of Postgres.
 */
import { randomBytes } from 'node:crypto';
import type { Sql } from '../../kernel/ports.ts';
import { tenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import { schemas } from '../../postgres/installation.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { type Migration, statementsIn } from '../migrations/migration_files.ts';
import { ledgerTable } from '../migrations/schema_migrator.ts';
import { withDedicatedTenant } from '../provisioning/dedicated_context.ts';
import { controlRights, kernelRights, placementRights } from '../provisioning/schema_rights.ts';
import { restricting, withoutStatistics } from '../provisioning/tenant_tables.ts';
import { type Fact, readCatalog, type SchemaFacts } from './catalog.ts';
import type { Finding } from './finding.ts';
import { examineRules } from './rules.ts';

/** A tenant's tables at one version. */
export type PlaceReference = {
  facts: Fact[];
  digest: string;
  /** Names of its tables. */
  tables: string[];
  /** Faults of the files themselves. */
  findings: Finding[];
};

/** Our schemas without tenants' tables; `dedicated` is `kernel` in a tenant's own database. */
export type KernelReference = Record<'control' | 'kernel' | 'dedicated', Fact[]>;

/** Placeholders for the tenant, its generation and digests in the reference of `kernel.tenant()`. */
export const anyTenant = tenantId('00000000-0000-0000-0000-000000000000');
export const anyGeneration = 2_147_483_646;
export const anyDigest = '0'.repeat(64);

export class References {
  readonly #fleet: Fleet;
  readonly #places = new Map<number, Promise<PlaceReference>>();
  #kernel: Promise<KernelReference> | undefined;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  kernel(): Promise<KernelReference> {
    this.#kernel ??= this.#makeKernel();
    return this.#kernel;
  }

  /** @param version from 0, a schema with only its ledger, to the newest. */
  place(version: number): Promise<PlaceReference> {
    const known = this.#places.get(version);
    if (known) return known;
    const made = this.#makePlace(version);
    this.#places.set(version, made);
    return made;
  }

  async #makeKernel(): Promise<KernelReference> {
    const { installation, sql: files } = this.#fleet;
    const { roles } = installation;
    const [control, kernel, dedicated] = [scratchName(), scratchName(), scratchName()];
    const anyone = { tenant: anyTenant, generation: anyGeneration, role: roles.app };
    const own = withDedicatedTenant(files.dedicatedContext, anyone, [anyDigest]);
    const script = [
      opening(kernel, roles.owner),
      ledgerTable(kernel),
      named(textOf(files.kernel, {}), schemas.kernel, kernel),
      kernelRights(roles.app, kernel),
      kernelRights(roles.account, kernel),
      opening(control, roles.owner),
      ledgerTable(control),
      named(textOf(files.control, roles), schemas.control, control),
      controlRights(roles, control),
      withoutStatistics(control, roles.account),
      opening(dedicated, roles.owner),
      own.replaceAll(/\bkernel\b/g, dedicated),
    ];
    const rows = await this.#rolledBack(script, (sql) =>
      this.#read(sql, [control, kernel, dedicated]),
    );
    return {
      control: factsOf(rows, control),
      kernel: factsOf(rows, kernel),
      dedicated: factsOf(rows, dedicated),
    };
  }

  async #makePlace(version: number): Promise<PlaceReference> {
    const { installation, sql: files } = this.#fleet;
    const { roles, database } = installation;
    const schema = scratchName();
    const script = [
      opening(schema, roles.owner),
      placementRights({ schema, role: roles.app }),
      ledgerTable(schema),
      textOf(files.tenant.slice(0, version), { app: roles.app }),
      restricting({ schema, app: roles.app }),
    ];
    return this.#rolledBack(script, async (sql) => {
      const rows = await this.#read(sql, [schema]);
      const findings = await examineRules(sql, { database, schema, role: roles.app });
      const digest = rows.find((row) => row.schema === schema)?.digest ?? '';
      const facts = factsOf(rows, schema);
      return { facts, digest, tables: tablesIn(facts), findings };
    });
  }

  #read(sql: Sql, scratch: readonly string[]): Promise<SchemaFacts[]> {
    const { roles } = this.#fleet.installation;
    const { app, owner } = roles;
    return readCatalog(sql, {
      schemas: scratch,
      app,
      owner,
      ours: Object.values(roles),
      known: {},
    });
  }

  #rolledBack<Result>(script: readonly string[], look: (sql: Sql) => Promise<Result>) {
    const { migrators, installation } = this.#fleet;
    const { owner } = installation.roles;
    const begin = `begin; set local client_min_messages = warning; set local role "${owner}";
      ${withoutDefaults(owner)}
      ${script.join(';\n')};
      set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off`;
    const target = installation.migrationTarget(installation.database);
    return migrators.exclusive(target, fleetWork, (connection) =>
      rolledBack(connection, begin, look),
    );
  }
}

/** `Connection.transaction` commits unless its work throws, so this work throws once it has its result. */
async function rolledBack<Result>(
  connection: Connection,
  begin: string,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  const results: Result[] = [];
  const seen = connection.transaction(begin, async (sql) => {
    results.push(await look(sql));
    throw new Error('It has been looked at');
  });
  await seen.catch((error: unknown) => {
    if (results.length === 0) throw error;
  });
  const [result] = results;
  if (result === undefined) throw new Error('Cannot examine: there is no reference');
  return result;
}

/** A random name, because two processes may build references at the same time. */
function scratchName(): string {
  return `reference_${randomBytes(8).toString('hex')}`;
}

/** Creates a schema as the login of migrations; its objects will belong to the owner. */
function opening(schema: string, owner: string): string {
  return `reset role;
    create schema "${schema}" authorization "${owner}";
    set local role "${owner}";
    set local search_path = "${schema}";`;
}

/** Resets the owner's default privileges: they are findings, and must not appear in the reference. */
function withoutDefaults(owner: string): string {
  return `do $$ declare given record; begin
    for given in
      select distinct defaclobjtype as type, coalesce(quote_ident(rolname), 'public') as grantee
      from pg_default_acl
        cross join lateral aclexplode(defaclacl)
        left join pg_roles on pg_roles.oid = grantee
      where defaclnamespace = 0 and defaclrole = (select oid from pg_roles where rolname = '${owner}')
        and defaclobjtype in ('r', 'S', 'f', 'T') and grantee <> defaclrole
    loop
      execute format('alter default privileges for role %I revoke all on %s from %s', '${owner}',
        case given.type when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
          else 'types' end, given.grantee);
    end loop;
    if found then
      alter default privileges for role "${owner}" grant execute on functions to public;
      alter default privileges for role "${owner}" grant usage on types to public;
    end if;
  end $$;`;
}

function textOf(files: readonly Migration[], roles: Readonly<Record<string, string>>): string {
  return files.flatMap((file) => statementsIn(file, roles)).join(';\n');
}

/** Replaces the schema's name in the text of its files by the name of the temporary schema. */
function named(text: string, schema: string, scratch: string): string {
  return text.replaceAll(new RegExp(`\\b${schema}\\.`, 'g'), `${scratch}.`);
}

function tablesIn(facts: readonly Fact[]): string[] {
  const tables = facts.filter(({ kind }) => kind === 'table').map(({ object }) => object);
  return tables
    .map((object) => object.replace('table {schema}.', ''))
    .filter((name) => name !== 'migrations');
}

function factsOf(rows: readonly SchemaFacts[], schema: string): Fact[] {
  return rows.find((row) => row.schema === schema)?.facts ?? [];
}
