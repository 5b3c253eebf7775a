import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { databaseOf } from '../../../src/postgres/installation.ts';
import type { Placement } from '../../../src/postgres/placement.ts';
import { connectionLimits } from '../../support/connection.ts';
import { openTenantPlaces, type TenantPlaces } from '../../support/tenant_places.ts';

describe('a dedicated placement', () => {
  let places: TenantPlaces;
  before(async () => {
    places = await openTenantPlaces(1);
  });
  after(() => places.close());

  for (const name of ['schema', 'database']) {
    describe(`in ${name} mode`, () => {
      let tenant: TenantRef;
      before(async () => {
        tenant = await places.tenant(name);
      });

      const mode = () => places.services.fleet.modes.of(tenant);
      const newest = () => places.services.fleet.sql.tenant.length;

      it('is kept when it is provisioned again', async () => {
        assert.equal(await mode().provision(tenant, places.steps), newest());
      });

      it('does not let its role create tables, temporary tables or schemas', async () => {
        const { target, role, schema } = places.placeOf(tenant);
        for (const what of [
          `table "${schema}".mine ()`,
          'temporary table mine ()',
          'schema mine',
        ]) {
          const connection = await Connection.open(target, connectionLimits);
          const attempt = connection.script(
            `begin; set local role "${role}"; create ${what}; commit`,
          );
          await assert.rejects(attempt, { code: '42501' });
          connection.close();
        }
      });

      it('can be destroyed twice and provisioned again', async () => {
        for (let turn = 0; turn < 2; turn += 1) await mode().destroy(tenant, places.steps);
        assert.equal(await mode().provision(tenant, places.steps), newest());
      });
    });
  }

  describe('of database mode', () => {
    let own: Placement;
    let other: Placement;
    before(async () => {
      own = places.placeOf(await places.tenant('database'));
      other = places.placeOf(await places.tenant('database'));
    });

    /** Whether one tenant's login gets into the other's database. */
    async function opens(): Promise<boolean> {
      const target = new URL(own.target);
      target.pathname = other.database;
      try {
        (await Connection.open(target.href, connectionLimits)).close();
        return true;
      } catch (error) {
        assert.equal(error instanceof Error && codeOf(error.cause), '42501');
        return false;
      }
    }

    it("refuses its login in another tenant's database and the main one", async () => {
      assert.equal(await opens(), false);
      const main = new URL(own.target);
      main.pathname = databaseOf(places.url);
      await assert.rejects(
        Connection.open(main.href, connectionLimits),
        (error: Error) => codeOf(error.cause) === '42501',
      );
    });

    it('control: accepts its login in another database that grants connect to public', async () => {
      const { database } = other;
      await places.asSuperuser(other, `grant connect on database "${database}" to public`);
      assert.equal(await opens(), true);
    });
  });
});
