/**
 * The fixture of the isolation suite: two tenants on one connection, and guards that can be taken
 * off.
 */

import { randomUUID } from 'node:crypto';
import { after, before } from 'node:test';
import postgres from 'postgres';
import type { Isolation, TenantRef } from '../../src/kernel/ports.ts';
import { isDedicated, type Placement } from '../../src/postgres/placement.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';

/** Statements of the superuser that take a guard off. */
export const guardsOff = {
  rowSecurity: `
    alter table pets disable row level security;
    alter table visits disable row level security`,
  tenantKeys: `
    alter table pets add unique (id);
    alter table visits
      drop constraint visits_tenant_id_pet_id_fkey,
      add foreign key (pet_id) references pets (id)`,
  seal: `
    create or replace function kernel.tenant() returns uuid language sql stable
    return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`,
};

/**
 * Rights that a serving role does not have, for probes that would fail before they meet a guard.
 */
export const granted = {
  settings: 'grant execute on function pg_catalog.set_config(text, text, boolean) to public',
  deletion: 'grant delete on pets to public',
};

export type TwoTenants = {
  fixture: TenantFixture;
  isolation: Isolation;
  one: TenantRef;
  other: TenantRef;
  /** Which tenant may be next on the first one's connection; in its own database only itself. */
  next: TenantRef;
};

/** What all tenants of a mode share: their tables, or the schemas beside them. */
const takesAwayFromAll: Readonly<Record<string, RegExp>> = {
  shared: /./,
  schema: /kernel|pg_catalog/,
  second_database: /kernel|pg_catalog/,
};

/** Installations by the guards that were taken off in them. */
const installations = new Map<string, Promise<TenantFixture>>();

/** The superuser's sessions by database: to open one costs more than the statements of a test. */
const superusers = new Map<string, postgres.Sql>();

after(async () => {
  for (const sql of superusers.values()) await sql.end({ timeout: 1 });
  for (const fixture of installations.values()) await (await fixture).close();
});

/** Two new tenants, with a guard of the first one's placement taken off. */
export function twoTenants(mode: string, off = ''): () => TwoTenants {
  let current: TwoTenants;
  before(async () => {
    const fixture = await installationFor(mode, off);
    const [one, other] = [await fixture.tenant(mode), await fixture.tenant(mode)];
    const { isolation } = fixture.services;
    const placement = fixture.placementOf(one);
    current = { fixture, isolation, one, other, next: isDedicated(placement) ? one : other };
    await fixture.asSuperuser(placement, off);
  });
  return () => current;
}

/** An installation in which no other guard is taken off for tenants of this mode. */
function installationFor(mode: string, off: string): Promise<TenantFixture> {
  const key = takesAwayFromAll[mode]?.test(off) ? off : '';
  const fixture = installations.get(key) ?? openTenantFixture(1);
  installations.set(key, fixture);
  return fixture;
}

/**
 * Inserts a pet of any tenant into any placement, as only a superuser can.
 *
 * @returns its id.
 */
export async function insertPet(
  fixture: TenantFixture,
  placement: Placement,
  { id }: TenantRef,
): Promise<string> {
  const petId = randomUUID();
  await superuserOf(fixture, placement).unsafe(
    `insert into "${placement.schema}".pets (tenant_id, id, name, species)
      values ('${id}', '${petId}', 'Rex', 'dog')`,
  );
  return petId;
}

function superuserOf({ services }: TenantFixture, placement: Placement): postgres.Sql {
  const url = services.fleet.installation.adminUrlOf(placement);
  const sql = superusers.get(url) ?? postgres(url, { max: 1, idle_timeout: 5 });
  superusers.set(url, sql);
  return sql;
}
