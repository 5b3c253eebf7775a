import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { openBackstage } from '../../src/backstage.ts';
import { readConfig } from '../../src/config.ts';
import { rotateSeals } from '../../src/fleet/rotate_seals.ts';
import type { TenantPlace } from '../../src/kernel/ports.ts';
import { isolationModes } from '../../src/kernel/tenant.ts';
import { codeOf } from '../../src/postgres/faults.ts';
import { addPet } from '../contract/isolation_probes.ts';
import { openTenantPlaces, type TenantPlaces } from '../support/tenant_places.ts';

describe('rotateSeals()', () => {
  let places: TenantPlaces;
  let tenants: TenantPlace[];
  before(async () => {
    places = await openTenantPlaces(8);
    tenants = await Promise.all(isolationModes.map(registered));
  });
  after(() => places.close());

  /** A tenant with a place and a row in the registry, by which its database is found. */
  async function registered(mode: TenantPlace['isolation']): Promise<TenantPlace> {
    const tenant = await places.tenant(mode);
    await places.backstage.control`
      insert into control.tenants (id, slug, name, plan, status, isolation)
      values (${tenant.id}, ${`${mode}-farm`}, 'Farm', 'free', 'active', ${mode})`;
    return tenant;
  }

  function rotate(onProgress: (step: string) => void = () => {}, heardAfterMs = 1): Promise<void> {
    const { fleet, jobs } = places.backstage;
    return rotateSeals(fleet, jobs, { heardAfterMs, concurrency: 2, onProgress });
  }

  function call({ id, isolation }: TenantPlace): Promise<string> {
    return places.backstage.isolation[isolation].run({ id, isolation }, addPet);
  }

  /** What became of a call of each tenant: `fine`, or the code of the error. */
  async function outcomes(): Promise<string[]> {
    return Promise.all(tenants.map((tenant) => call(tenant).then(() => 'fine', codeOf)));
  }

  async function keysPerDatabase(): Promise<number[]> {
    const counts = tenants.map(async (tenant) => {
      const rows = await places.asSuperuser(places.placeOf(tenant), 'select from kernel.seal_keys');
      return rows.length;
    });
    return Promise.all(counts);
  }

  it('disturbs nobody who is being served', async () => {
    const failures: unknown[] = [];
    let rotating = true;
    const load = tenants.map(async (tenant) => {
      while (rotating) await call(tenant).catch((error) => failures.push(error));
    });
    for (let turn = 0; turn < 3; turn += 1) {
      // What the announcement does in a serving process.
      await rotate(() => void places.backstage.refreshSeals(), 1_000);
    }
    rotating = false;
    await Promise.all(load);
    assert.deepEqual(failures, []);
    assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
  });

  it('leaves a process that has not heard of it without a context', async () => {
    await rotate();
    assert.deepEqual(await outcomes(), ['42501', '42501', '42501']);
    await places.backstage.refreshSeals();
    assert.deepEqual(await outcomes(), ['fine', 'fine', 'fine']);
  });

  for (const step of [1, 2, 3]) {
    describe(`when it is killed after its step ${step}`, () => {
      beforeEach(async () => {
        let steps = 0;
        const killed = rotate(() => {
          steps += 1;
          if (steps === step) throw new Error('killed');
        });
        await assert.rejects(killed, /^Error: killed$/);
      });
      afterEach(() => places.backstage.refreshSeals());

      it('is brought to its end by the next one', async () => {
        await rotate();
        await places.backstage.refreshSeals();
        assert.deepEqual(await outcomes(), ['fine', 'fine', 'fine']);
        assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
      });

      it('gives a new tenant all the keys that are good', async () => {
        const late = await places.tenant('database');
        await places.backstage.refreshSeals();
        await call(late);
        await rotate();
      });
    });
  }

  it('is done by one process at a time', async () => {
    const environment = { DATABASE_URL: places.url, ADMIN_TOKEN: 'unused' };
    const other = await openBackstage(readConfig(environment), places.url);
    try {
      const options = { heardAfterMs: 1, concurrency: 2, onProgress: () => {} };
      const second = rotateSeals(other.fleet, other.jobs, options);
      const outcome = await Promise.allSettled([rotate(), second]);
      assert.deepEqual(outcome.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    } finally {
      other.close();
      await places.backstage.refreshSeals();
    }
  });
});
