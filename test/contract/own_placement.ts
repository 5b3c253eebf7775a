/**
 * How much a tenant's own placement isolates without row security: it is the first of two layers.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../src/postgres/errors.ts';
import { addPet } from './isolation_probes.ts';
import { guardsOff, insertPet, twoTenants } from './two_tenants.ts';

/** The suite, for modes that give each tenant its own placement. */
export function ownPlacementContract(mode: string): void {
  describe(`${mode} isolation without row security`, () => {
    const current = twoTenants(mode, guardsOff.rowSecurity);

    /** Whether the first tenant, whose placement has no row security, sees a pet of the other. */
    async function sees(petId: string): Promise<boolean> {
      const { isolation, one } = current();
      const rows = await isolation.run(one, (db) => db`select id from pets where id = ${petId}`);
      return rows.length > 0;
    }

    it(`does not show rows of another tenant's ${mode}`, async () => {
      const { isolation, other } = current();
      assert.equal(await sees(await isolation.run(other, addPet)), false);
    });

    it("control: shows another tenant's row in the same placement", async () => {
      const { fixture, one, other } = current();
      assert.equal(await sees(await insertPet(fixture, fixture.placementOf(one), other)), true);
    });

    it('finds no tables when the context names another schema', async () => {
      const { fixture, one } = current();
      const placement = fixture.placementOf(one);
      const url = placement.url.replace('search_path=%22tenant%22', 'search_path=nowhere');
      const nowhere = fixture.allIn({ ...placement, url, schema: 'nowhere' });
      await assert.rejects(
        nowhere.run(one, addPet),
        (error: Error) => codeOf(error.cause) === '42P01',
      );
    });
  });
}
