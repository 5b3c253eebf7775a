import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Db } from '../../src/kernel/ports.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { isolationContract } from '../contract/isolation.ts';
import { ownPlacementContract } from '../contract/own_placement.ts';
import { granted, guardsOff, type TwoTenants, twoTenants } from '../contract/two_tenants.ts';

isolationContract('database');
ownPlacementContract('database');

describe("a tenant's own database", () => {
  const look = (db: Db) => db`select id from pets`;

  const guarded = twoTenants('database');

  /**
   * The answer to another tenant in that database, and the answer to its own tenant after that on
   * the same connection.
   */
  async function told({ fixture, one, other }: TwoTenants): Promise<string[]> {
    const isolation = fixture.allIn(fixture.placementOf(one));
    const answer = (tenant: typeof one) =>
      isolation.run(tenant, look).then((rows) => `${rows.length} rows`, codeOf);
    return [await answer(other), await answer(one)];
  }

  describe('that checks the context', () => {
    const current = twoTenants('database', granted.settings);
    it('serves its tenant, and refuses any other', async () => {
      assert.deepEqual(await told(current()), ['42501', '0 rows']);
    });
  });

  it('does not let public call kernel.tenant() or kernel.no_context()', async () => {
    const { fixture, one } = guarded();
    const [row] = await fixture.asSuperuser(
      fixture.placementOf(one),
      `select has_function_privilege('public', 'kernel.tenant()', 'execute') as tenant,
        has_function_privilege('public', 'kernel.no_context()', 'execute') as refusal`,
    );
    assert.deepEqual({ ...row }, { tenant: false, refusal: false });
  });

  describe('control: that does not check the context', () => {
    const current = twoTenants('database', `${granted.settings}; ${guardsOff.seal}`);
    it('serves any tenant', async () => {
      assert.deepEqual(await told(current()), ['0 rows', '0 rows']);
    });
  });
});
