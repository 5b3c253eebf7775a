/** Migrations that somebody adds are held against the rules of tenants' tables, whatever they say. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Config, readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { openServices } from '../../../src/services.ts';
import { testDatabase } from '../../support/postgres.ts';

const guarded = (table: string) => `
  alter table ${table} enable row level security;
  alter table ${table} force row level security;
  create policy tenant_rows on ${table} using (tenant_id = (select kernel.tenant()));`;

const toys = (columns = '') => `create table toys (
  tenant_id uuid not null default kernel.tenant(), id uuid not null, pet_id uuid, name text,
  primary key (tenant_id, id) ${columns});`;

const migrations: Readonly<Record<string, [text: string, check: string | null]>> = {
  'a table as it has to be': [`${toys()}${guarded('toys')}`, null],
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

/** What no place is given: the migration itself fails. */
const refused: Readonly<Record<string, string>> = {
  'a table without row security': toys(),
  'a table without a policy': `${toys()} alter table toys enable row level security;
    alter table toys force row level security;`,
  'a table without a tenant': `create table toys (id uuid primary key);
    alter table toys enable row level security;`,
  'a tenant that the writer chooses': `${toys()}${guarded('toys')}
    alter table toys alter tenant_id drop default;`,
};

describe('the doctor, of a migration that makes', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', folder, { recursive: true });
  });
  after(() => rm(folder, { recursive: true }));

  for (const [name, [text, check]] of Object.entries(migrations)) {
    it(`${name}: ${check ?? 'nothing'}`, async () => {
      await writeFile(join(folder, 'tenant/003_more.sql'), text);
      const found = await checksWith(folder);
      if (check === null) assert.deepEqual(found, []);
      else assert.ok(found.includes(check), `${found}`);
    });
  }
});

describe('a place', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', folder, { recursive: true });
  });
  after(() => rm(folder, { recursive: true }));

  for (const [name, text] of Object.entries(refused)) {
    it(`is not given ${name}`, async () => {
      await writeFile(join(folder, 'tenant/003_more.sql'), text);
      await assert.rejects(checksWith(folder), /toys/);
    });
  }
});

async function checksWith(sqlFolder: string): Promise<string[]> {
  const { url, drop } = await testDatabase();
  const config = { ...readConfig({ DATABASE_URL: url }), sqlFolder };
  try {
    return await examined(config, url);
  } finally {
    await drop();
  }
}

async function examined(config: Config, url: string): Promise<string[]> {
  const services = await openServices(config, url);
  try {
    const findings = await examine(services, { databases: 1 });
    return findings
      .filter(({ check }) => check !== 'foreign_database_open')
      .map(({ check }) => check);
  } finally {
    services.close();
  }
}
