import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createPlace, dropPlace } from '../../../src/control_plane/provisioning/place.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { databaseOf, type Placement } from '../../../src/postgres/installation.ts';
import { connectionLimits } from '../../support/connection.ts';
import { openTenantPlaces, type TenantPlaces } from '../../support/tenant_places.ts';

const modes = ['schema', 'database'] as const;

describe('a place', () => {
  let places: TenantPlaces;
  const tenants: Partial<Record<(typeof modes)[number], TenantRef>> = {};
  before(async () => {
    places = await openTenantPlaces(1);
    for (const mode of modes) tenants[mode] = await places.tenant(mode);
  });
  after(() => places.close());

  function placeOf(mode: (typeof modes)[number]): Placement {
    const tenant = tenants[mode];
    assert.ok(tenant);
    return places.placeOf(tenant);
  }

  for (const mode of modes) {
    it(`of ${mode} mode is made once, however often it is asked for`, async () => {
      const { fleet } = places.services;
      assert.equal(await createPlace(fleet, placeOf(mode)), fleet.sql.tenant.length);
    });

    it(`of ${mode} mode lets its role add no tables, not even temporary ones`, async () => {
      const { target, role, schema } = placeOf(mode);
      for (const what of [`table "${schema}".mine ()`, 'temporary table mine ()', 'schema mine']) {
        const connection = await Connection.open(target, connectionLimits);
        const attempt = connection.script(
          `begin; set local role "${role}"; create ${what}; commit`,
        );
        await assert.rejects(attempt, { code: '42501' });
        connection.close();
      }
    });

    it(`of ${mode} mode can be removed twice and made again`, async () => {
      const { fleet } = places.services;
      const place = placeOf(mode);
      for (let turn = 0; turn < 2; turn += 1) await dropPlace(fleet, place);
      assert.equal(await createPlace(fleet, place), fleet.sql.tenant.length);
    });
  }

  describe('of database mode', () => {
    /** Whether one tenant's login gets into the other's database. */
    async function opens(): Promise<boolean> {
      const target = new URL(placeOf('database').target);
      target.pathname = (await other()).database;
      try {
        (await Connection.open(target.href, connectionLimits)).close();
        return true;
      } catch (error) {
        assert.equal(error instanceof Error && codeOf(error.cause), '42501');
        return false;
      }
    }

    let made: Placement | undefined;
    async function other(): Promise<Placement> {
      made ??= places.placeOf(await places.tenant('database'));
      return made;
    }

    it("keeps a tenant's login out of every other database", async () => {
      assert.equal(await opens(), false);
      const main = new URL(placeOf('database').target);
      main.pathname = databaseOf(places.url);
      await assert.rejects(
        Connection.open(main.href, connectionLimits),
        (error: Error) => codeOf(error.cause) === '42501',
      );
    });

    it('lets it in where everybody may connect', async () => {
      const { database } = await other();
      await places.asSuperuser(await other(), `grant connect on database "${database}" to public`);
      assert.equal(await opens(), true);
    });
  });
});
