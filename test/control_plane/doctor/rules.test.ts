/** Checks added migrations against the rules for tenants' tables. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import type { Fleet } from '../../../src/control_plane/fleet.ts';
import { asOwner } from '../../../src/control_plane/keys/seal_keys.ts';
import { migrationOf } from '../../../src/control_plane/migrations/migration_files.ts';
import { createSchema } from '../../../src/control_plane/provisioning/tenant_schema.ts';
import type { Sql } from '../../../src/kernel/ports.ts';
import { schemas } from '../../../src/postgres/installation.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';

const guarded = (table: string) => `
  alter table ${table} enable row level security;
  alter table ${table} force row level security;
  create policy tenant_rows on ${table} using (tenant_id = (select kernel.tenant()));`;

const toys = (columns = '') => `create table toys (
  tenant_id uuid not null default kernel.tenant(), id uuid not null, pet_id uuid, name text,
  primary key (tenant_id, id) ${columns});`;

const migrations: Readonly<Record<string, [text: string, check: string | null]>> = {
  'a table as it has to be': [`${toys()}${guarded('toys')}`, null],
  'a policy that hides rows from the serving role': [
    `${toys()}${guarded('toys')}
     create policy named on toys as restrictive for select to :"app" using (name is not null);`,
    null,
  ],
  'a policy for everybody': [
    `${toys()}${guarded('toys')} create policy more on toys using (true);`,
    'policy_extra',
  ],
  'a key over all tenants': [
    `${toys(', unique (name)')}${guarded('toys')}`,
    'unique_key_without_tenant',
  ],
  'a reference by id alone': [
    `alter table pets add constraint more unique (id);
     ${toys(', foreign key (pet_id) references pets (id)')}${guarded('toys')}`,
    'foreign_key_without_tenant',
  ],
  "a view with its owner's eyes": [
    'create view all_pets as select * from pets; grant select on all_pets to :"app";',
    'view_without_invoker',
  ],
  "a function with its owner's rights": [
    `create function all_pets() returns bigint language sql security definer
     as 'select 1::bigint';`,
    'security_definer_reachable',
  ],
};

/** The migration itself fails. */
const refused: Readonly<Record<string, string>> = {
  'a table without row security': toys(),
  'a table without a policy': `${toys()} alter table toys enable row level security;
    alter table toys force row level security;`,
  'a table without a tenant': `create table toys (id uuid primary key);
    alter table toys enable row level security;`,
  'a tenant that the writer chooses': `${toys()}${guarded('toys')}
    alter table toys alter tenant_id drop default;`,
};

let database: TestDatabase;
let services: Services;

before(async () => {
  database = await testDatabase();
  services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
});

after(async () => {
  services.close();
  await database.drop();
});

describe('the doctor, of a migration that makes', () => {
  for (const [name, [text, check]] of Object.entries(migrations)) {
    it(`${name}: ${check ?? 'nothing'}`, async () => {
      const findings = await examine(
        { ...services, fleet: await madeWith(text) },
        { databases: 1 },
      );
      const checks = findings.map((finding) => finding.check);
      const found = checks.filter((one) => one !== 'foreign_database_open');
      if (check === null) assert.deepEqual(found, []);
      else assert.ok(found.includes(check), `${found}`);
    });
  }
});

describe('a migration', () => {
  for (const [name, text] of Object.entries(refused)) {
    it(`is refused when it makes ${name}`, () => assert.rejects(madeWith(text), /toys/));
  }
});

/** Makes the common tables again, with one more file in `sql/tenant`. */
async function madeWith(text: string): Promise<Fleet> {
  const { fleet } = services;
  const version = fleet.sql.tenant.length + 1;
  const tenant = [...fleet.sql.tenant, migrationOf(version, 'more', text)];
  const changed = { ...fleet, sql: { ...fleet.sql, tenant } };
  await lookInto(database.url, async (sql) => {
    await sql`drop schema shared cascade`;
    await sql`delete from control.tenant_migrations where version = ${version}`;
  });
  const control: Sql = (query, ...values) => asOwner(fleet, (sql) => sql(query, ...values));
  await createSchema(changed, fleet.installation.placement(schemas.shared), { control });
  return changed;
}
