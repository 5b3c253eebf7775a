/** What a place of a tenant's own is worth without row security: the first of its two locks. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../src/postgres/errors.ts';
import { addPet } from './isolation_probes.ts';
import { guardsOff, plantPet, stage } from './isolation_stage.ts';

/** The suite, for modes that give each tenant a place. */
export function ownPlaceContract(mode: string): void {
  describe(`${mode} isolation without row security`, () => {
    const current = stage(mode, guardsOff.rowSecurity);

    /** Whether the first tenant, whose place has no row security, has a pet of the other's. */
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
      const { places, one, other } = current();
      assert.equal(await sees(await plantPet(places, places.placeOf(one), other)), true);
    });

    it('finds no tables when the context names another schema', async () => {
      const { places, one } = current();
      const place = places.placeOf(one);
      const target = place.target.replace('search_path=%22tenant%22', 'search_path=nowhere');
      const nowhere = places.allIn({ ...place, target, schema: 'nowhere' });
      await assert.rejects(
        nowhere.run(one, addPet),
        (error: Error) => codeOf(error.cause) === '42P01',
      );
    });
  });
}
