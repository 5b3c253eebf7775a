/** What a place of a tenant's own is worth without row security: the first of its two locks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Isolation } from '../../src/kernel/ports.ts';
import type { IsolationMode } from '../../src/kernel/tenant.ts';
import { codeOf } from '../../src/postgres/faults.ts';
import { addPet } from './isolation_probes.ts';
import { guardsOff, stage } from './isolation_stage.ts';

/** The suite, for modes that give each tenant a place. */
export function ownPlaceContract(mode: Exclude<IsolationMode, 'shared'>): void {
  describe(`${mode} isolation without row security`, () => {
    const current = stage(mode, guardsOff.rowSecurity);

    /** Whether the first tenant, whose place has no row security, has a pet of the other's. */
    async function sees(isolation: Isolation): Promise<boolean> {
      const { one, other } = current();
      const petId = await isolation.run(other, addPet);
      const rows = await isolation.run(one, (db) => db`select id from pets where id = ${petId}`);
      return rows.length > 0;
    }

    it(`keeps a tenant in its own ${mode}`, async () => {
      assert.equal(await sees(current().isolation), false);
    });

    it('keeps nothing apart where all have the same place', async () => {
      const { places, one } = current();
      assert.equal(await sees(places.allIn(places.placeOf(one))), true);
    });

    it('finds no tables when the envelope names another schema', async () => {
      const { places, one } = current();
      const nowhere = places.allIn({ ...places.placeOf(one), schema: 'nowhere' });
      await assert.rejects(
        nowhere.run(one, addPet),
        (error: Error) => codeOf(error.cause) === '42P01',
      );
    });
  });
}
