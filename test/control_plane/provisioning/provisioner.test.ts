import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { databaseOf } from '../../../src/postgres/installation.ts';
import type { Placement } from '../../../src/postgres/placement.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { connectionLimits } from '../../support/connection.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe('a dedicated placement', () => {
  let fixture: TenantFixture;
  before(async () => {
    fixture = await openTenantFixture(1);
  });
  after(() => fixture.close());

  for (const name of ['schema', 'database']) {
    describe(`in ${name} mode`, () => {
      let tenant: TenantRef;
      before(async () => {
        tenant = await fixture.tenant(name);
      });

      const mode = () => fixture.services.fleet.modes.of(tenant);
      const newest = () => fixture.services.fleet.sql.tenant.length;

      it('is kept when it is provisioned again', async () => {
        assert.equal(await mode().provision(tenant, fixture.steps), newest());
      });

      it('does not let its role create tables, temporary tables or schemas', async () => {
        const { url, role, schema } = fixture.placementOf(tenant);
        for (const what of [
          `table "${schema}".mine ()`,
          'temporary table mine ()',
          'schema mine',
        ]) {
          const connection = await Connection.open(url, connectionLimits);
          const attempt = connection.script(
            `begin; set local role "${role}"; create ${what}; commit`,
          );
          await assert.rejects(attempt, { code: '42501' });
          connection.close();
        }
      });

      it('is neither changed nor removed by a process that may not go on', async () => {
        const steps = fixture.steps.with({ guard: 'select 1 / 0' });
        await assert.rejects(mode().provision(tenant, steps), /division by zero/);
        await assert.rejects(mode().destroy(tenant, steps), /division by zero/);
        await fixture.services.isolation.run(tenant, addPet);
      });

      it('can be destroyed twice and provisioned again', async () => {
        for (let turn = 0; turn < 2; turn += 1) await mode().destroy(tenant, fixture.steps);
        assert.equal(await mode().provision(tenant, fixture.steps), newest());
      });
    });
  }

  describe('of database mode', () => {
    let own: Placement;
    let other: Placement;
    before(async () => {
      own = fixture.placementOf(await fixture.tenant('database'));
      other = fixture.placementOf(await fixture.tenant('database'));
    });

    /** Whether one tenant's login gets into the other's database. */
    async function opens(): Promise<boolean> {
      const url = new URL(own.url);
      url.pathname = other.database;
      try {
        (await Connection.open(url.href, connectionLimits)).close();
        return true;
      } catch (error) {
        assert.equal(error instanceof Error && codeOf(error.cause), '42501');
        return false;
      }
    }

    it("refuses its login in another tenant's database and the main one", async () => {
      assert.equal(await opens(), false);
      const main = new URL(own.url);
      main.pathname = databaseOf(fixture.url);
      await assert.rejects(
        Connection.open(main.href, connectionLimits),
        (error: Error) => codeOf(error.cause) === '42501',
      );
    });

    it('control: accepts its login in another database that grants connect to public', async () => {
      const { database } = other;
      await fixture.asSuperuser(other, `grant connect on database "${database}" to public`);
      assert.equal(await opens(), true);
    });
  });
});
