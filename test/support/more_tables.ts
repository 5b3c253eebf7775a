/**
 * A placement with more tables than sql/tenant creates, and rows for every table in the catalog.
 */

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type postgres from 'postgres';
import { readConfig } from '../../src/config.ts';
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import { parseSlug, tenantId } from '../../src/kernel/tenant.ts';
import { openServices, type Services } from '../../src/services.ts';
import { testDatabase } from './postgres.ts';
import { lookInto } from './sql.ts';
import { addMigration } from './tenant_files.ts';

/** The rules of "How to" for a table; its author does not grant its rights. */
export function guarded(name: string, columns: string): string {
  return `${bare(name, columns)} ${guards(name)}`;
}

function bare(name: string, columns: string): string {
  return `create table ${name} (
      tenant_id uuid not null default kernel.tenant(), id uuid not null, ${columns},
      primary key (tenant_id, id)
    );`;
}

/** SQL for the row security of a table. */
export function guards(name: string): string {
  return `alter table ${name} enable row level security;
    alter table ${name} force row level security;
    create policy tenant_rows on ${name} using (tenant_id = (select kernel.tenant()));`;
}

/** Tables that refer to pets, to themselves, and to each other in a ring. */
export const moreTables = [
  guarded(
    'toys',
    'pet_id uuid not null, name text not null, foreign key (tenant_id, pet_id) references pets',
  ),
  'create index on toys (tenant_id, lower(name));',
  guarded('folders', 'parent uuid, foreign key (tenant_id, parent) references folders'),
  bare('owners', 'favourite uuid not null'),
  bare('houses', 'owner_id uuid not null, foreign key (tenant_id, owner_id) references owners'),
  // Before row security: the check of a new key would need a context.
  'alter table owners add foreign key (tenant_id, favourite) references houses;',
  guards('owners'),
  guards('houses'),
].join('\n');

export type ExtendedInstallation = {
  /** The superuser's. */
  url: string;
  services: Services;
  /** Services of a further process. `close` closes them too. */
  another(): Promise<Services>;
  onboard(slug: string, isolation: IsolationModeName): Promise<void>;
  /** As the superuser, with the tenant's schema as search_path. */
  asSuperuser<Result>(slug: string, work: (sql: postgres.Sql) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
};

/** @param text of one more migration. */
export async function openExtended(text: string): Promise<ExtendedInstallation> {
  const database = await testDatabase();
  const sqlFolder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
  await cp('sql', sqlFolder, { recursive: true });
  await addMigration(sqlFolder, 'more', `${text};\n`);
  const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder };
  const opened: Services[] = [];
  const another = async () => {
    const services = await openServices(config, database.url);
    opened.push(services);
    return services;
  };
  const services = await another().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  async function close() {
    for (const services of opened) services.close();
    await database.drop();
    await rm(sqlFolder, { recursive: true });
  }
  const { installation } = services.fleet;
  return {
    url: database.url,
    services,
    another,
    onboard: async (name, isolation) => {
      const slug = slugOf(name);
      const order = { slug, name, plan: 'free', isolation, adminEmail: 'admin@example.com' };
      await services.onboarding.create(order, {
        requestId: null,
        idempotencyKey: null,
        rawBody: '',
      });
    },
    asSuperuser: async (name, work) => {
      const [tenant] = await services.control<{
        id: string;
        isolation: IsolationModeName;
        server: string;
        generation: number;
      }>`
        select id, isolation, server, generation from control.tenants where slug = ${name}`;
      if (!tenant) throw new Error(`Cannot look into "${name}": there is no such tenant`);
      const placement = services.fleet.modes.placementOf({ ...tenant, id: tenantId(tenant.id) });
      return lookInto(installation.adminUrlOf(placement), async (sql) => {
        await sql.unsafe(`set search_path = "${placement.schema}"`);
        return work(sql);
      });
    },
    close,
  };
}

export function slugOf(name: string) {
  const slug = parseSlug(name);
  if (!slug) throw new Error(`Cannot use "${name}": it is no slug`);
  return slug;
}

/**
 * A value of each type that a column without a default may need; always the same id, so that keys
 * match.
 */
const values: Readonly<Record<string, string>> = {
  uuid: "'00000000-0000-7000-8000-000000000001'",
  text: "'x'",
  boolean: 'false',
  date: "'2024-01-01'",
  'timestamp with time zone': "'2024-01-01'",
  integer: '1',
  bigint: '1',
  numeric: '1',
};

/**
 * Inserts a row of the tenant into every table.
 *
 * @returns the tables.
 */
export async function fillAll(sql: postgres.Sql, tenant: string): Promise<string[]> {
  const tables = await sql<{ name: string; columns: string[]; types: string[] }[]>`
    select relname as name, array_agg(attname::text) as columns,
      array_agg(format_type(atttypid, null)) as types
    from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
      and relname <> 'migrations' and not atthasdef and attname <> 'tenant_id'
      and (attnotnull or atttypid = 'uuid'::regtype)
    group by relname`;
  // Without checks of keys: a ring has no first row.
  await sql.unsafe('set session_replication_role = replica');
  for (const { name, columns, types } of tables) {
    const row = types.map((type) => values[type] ?? 'null').join(', ');
    await sql.unsafe(
      `insert into ${name} (tenant_id, ${columns.join(', ')}) values ('${tenant}', ${row})`,
    );
  }
  await sql.unsafe('reset session_replication_role');
  return tables.map(({ name }) => name).sort();
}
