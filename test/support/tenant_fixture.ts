/**
 * A fresh database with the isolation adapters opened on it as the server opens them, and tenants
 * that have a placement and nothing else: no registry row, no key.
 */

import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { readConfig } from '../../src/config.ts';
import { Provisioner } from '../../src/control_plane/provisioning/provisioner.ts';
import { openTenantDb } from '../../src/isolation/tenant_db.ts';
import type { Isolation, TenantRef } from '../../src/kernel/ports.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { openServices, type Services } from '../../src/services.ts';
import { secondDatabaseMode } from '../isolation/second_database.ts';
import { testDatabase } from './postgres.ts';

export type TenantFixture = {
  /** The superuser's. */
  url: string;
  services: Services;
  /** A new tenant whose tables are there and empty. */
  tenant(mode: string): Promise<TenantRef>;
  /** The steps by which its modes create and remove placements. */
  steps: Provisioner;
  placementOf(tenant: TenantRef): Placement;
  /** Every tenant's rows in one placement, whatever its mode: row security alone separates them. */
  allIn(placement: Placement): Isolation;
  /**
   * Statements of the superuser, to whom row security does not apply, with the placement's schema.
   */
  asSuperuser(placement: Placement, text: string): Promise<postgres.Row[]>;
  close(): Promise<void>;
};

/** With one connection, every call of every tenant in a database goes through one connection. */
export async function openTenantFixture(size: number): Promise<TenantFixture> {
  const { url, drop } = await testDatabase();
  const environment = {
    DATABASE_URL: url,
    DB_CONNECTIONS: `${size}`,
  };
  const services = await openServices(readConfig(environment), url, {
    modes: [secondDatabaseMode],
  });
  const { fleet, connections, control } = services;
  const steps = new Provisioner({ fleet, control, serving: connections.pool });
  const placement = (tenant: TenantRef) => fleet.modes.placementOf(tenant);
  return {
    url,
    services,
    steps,
    placementOf: placement,
    tenant: async (isolation) => {
      const tenant = { id: tenantId(randomUUID()), isolation, server: 'main', generation: 0 };
      await fleet.modes.of(tenant).provision(tenant, steps);
      return tenant;
    },
    allIn: (one) => ({ run: ({ id }, work) => openTenantDb(connections, one, id, work) }),
    asSuperuser: async (placement, text) => {
      const sql = postgres(fleet.installation.adminUrlOf(placement), {
        max: 1,
        onnotice: () => {},
        connection: { search_path: placement.schema },
      });
      return await sql.unsafe(text).finally(() => sql.end({ timeout: 1 }));
    },
    close: async () => {
      services.close();
      await drop();
    },
  };
}
