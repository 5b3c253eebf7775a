/**
 * An installation with an onboarded tenant of each mode, for the doctor to look at, and statements of
 * a superuser that spoil it.
 */

import assert from 'node:assert/strict';
import postgres from 'postgres';
import { readConfig } from '../../src/config.ts';
import { examine } from '../../src/control_plane/doctor/doctor.ts';
import { examineDatabase } from '../../src/control_plane/doctor/examined_database.ts';
import type { Finding } from '../../src/control_plane/doctor/finding.ts';
import { lookInto as look } from '../../src/control_plane/doctor/look.ts';
import { readDatabases } from '../../src/control_plane/doctor/placements.ts';
import { References } from '../../src/control_plane/doctor/reference.ts';
import { acceptedSecrets, asOwner } from '../../src/control_plane/keys/seal_keys.ts';
import { templateOf } from '../../src/control_plane/provisioning/database_template.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { parseSlug, tenantId } from '../../src/kernel/tenant.ts';
import type { Roles } from '../../src/postgres/installation.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { openServices, type Services } from '../../src/services.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';
import { lookInto } from './sql.ts';

/** What a statement has to name. */
export type Names = Roles & {
  /** The main database. */
  main: string;
  /** The tenant's own database, which is its login's name too. */
  own: string;
  /** The template of tenants' databases. */
  template: string;
  /** The schema of the tenant in schema mode. */
  schema: string;
};

export type DoctorFixture = {
  url: string;
  services: Services;
  names: Names;
  /** In the order of `isolationModes`; their slugs are `shared-zoo`, `schema-zoo`, `database-zoo`. */
  tenants: TenantRef[];
  /**
   * Without those about databases of other tests on the same server.
   *
   * @param references kept from one look to the next, because the files do not change; or new ones.
   */
  findings(references?: 'kept' | 'new'): Promise<Finding[]>;
  /** Those that a look into one database gives, without sessions: half as expensive. */
  findingsIn(database: string): Promise<Finding[]>;
  /** As a superuser of the database. */
  run(database: string, text: string): Promise<void>;
  close(): Promise<void>;
};

export async function openDoctorFixture(): Promise<DoctorFixture> {
  const database = await testDatabase();
  const services = await openOn(database);
  const { fleet, onboarding } = services;
  const { installation } = fleet;
  for (const isolation of isolationModes) {
    const slug = parseSlug(`${isolation}-zoo`);
    assert.ok(slug);
    await onboarding.create(
      { slug, name: 'Zoo', plan: 'free', isolation, adminEmail: 'admin@zoo.example' },
      { requestId: null, idempotencyKey: null, rawBody: '' },
    );
  }
  const tenants = await readTenants(services);
  const [, inSchema, inDatabase] = tenants.map((tenant) => fleet.modes.placementOf(tenant));
  assert.ok(inSchema && inDatabase);
  const kept = new References(fleet);
  const { main, others } = await look(fleet, installation.main, (sql) => readDatabases(sql, fleet));
  const databases = [main, ...others];
  const accepted = await asOwner(fleet, acceptedSecrets);
  const superuser = postgres(database.url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  return {
    url: database.url,
    services,
    names: namesOf(services, inSchema, inDatabase),
    tenants,
    findings: async (which = 'kept') => {
      const references = which === 'kept' ? kept : new References(fleet);
      const found = await examine(services, { databases: 2, references });
      return found.filter(isOurs(installation.database));
    },
    findingsIn: async (name) => {
      const examined = databases.find((database) => database.name === name);
      assert.ok(examined);
      const options = { fleet, references: kept, accepted };
      const place = { server: 'main', database: name };
      const found = await look(fleet, place, (sql) => examineDatabase(sql, examined, options));
      return found.filter(isOurs(installation.database));
    },
    run: async (name, text) => {
      if (name === installation.database) await superuser.unsafe(text);
      else
        await lookInto(installation.adminUrlOf({ server: 'main', database: name }), (sql) =>
          sql.unsafe(text),
        );
    },
    close: async () => {
      await superuser.end({ timeout: 1 });
      services.close();
      await database.drop();
    },
  };
}

function openOn({ url }: TestDatabase): Promise<Services> {
  return openServices(readConfig({ DATABASE_URL: url }), url);
}

async function readTenants({ control }: Services): Promise<TenantRef[]> {
  const rows = await control<TenantRef>`
    select id, isolation, server, generation from control.tenants
    order by array_position(array['shared', 'schema', 'database'], isolation)`;
  return rows.map((row) => ({ ...row, id: tenantId(row.id) }));
}

function namesOf({ fleet }: Services, inSchema: Placement, inDatabase: Placement): Names {
  const { roles, database: main } = fleet.installation;
  const template = templateOf(fleet.installation);
  return { ...roles, main, own: inDatabase.database, template, schema: inSchema.schema };
}

function isOurs(main: string): (finding: Finding) => boolean {
  return ({ check, database }) =>
    check !== 'foreign_database_open' || database.startsWith(`${main}_`);
}
