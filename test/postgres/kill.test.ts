/**
 * Isolation holds when connections die in the middle of any operation. `KILL_SECONDS` makes it
 * longer, `KILL_SEED` repeats an order of events as far as that is possible.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { killBackends } from '../support/backend_killer.ts';
import { isOf, read, runPetLoad, type Tally } from '../support/pet_load.ts';
import { seededRandom } from '../support/random.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';
import { until } from '../support/until.ts';

const seconds = Number(process.env.KILL_SECONDS ?? 4);
const seed = Number(process.env.KILL_SEED ?? randomInt(2 ** 32));
/** Few tenants with a database: with more, most of the time would go into changing connections. */
const tenantsPerMode = { shared: 16, schema: 12, database: 4 };

describe('isolation while random backends are terminated', () => {
  let fixture: TenantFixture;
  let tenants: TenantRef[];
  let tally: Tally;
  /** Rows of all placements, as the superuser sees them. */
  let stored: Map<string, TenantRef>;
  const misplaced: unknown[] = [];
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);

  before(async () => {
    process.on('uncaughtException', onUncaught).on('unhandledRejection', onUncaught);
    fixture = await openTenantFixture(16);
    const modes = isolationModes.flatMap((mode) =>
      Array.from({ length: tenantsPerMode[mode] }, () => mode),
    );
    tenants = await Promise.all(modes.map((mode) => fixture.tenant(mode)));
  });
  after(async () => {
    await fixture.close();
    process.off('uncaughtException', onUncaught).off('unhandledRejection', onUncaught);
  });

  it('keeps serving calls and writes, and answers every tenant after the last kill', async (t) => {
    const { isolation } = fixture.services;
    const random = seededRandom(seed);
    const killer = killBackends(fixture.url, { everyMs: 50, random });
    tally = await runPetLoad({
      isolation,
      tenants,
      callers: 48,
      forMs: seconds * 1_000,
      // Far longer than all limits of a call together, even if the machine adds to each of them.
      callLimitMs: 30_000,
      random,
    });
    await killer.stop();
    const killedAt = performance.now();
    await Promise.all(tenants.map((tenant) => until(() => answers(tenant))));
    const answeringAgainMs = Math.round(performance.now() - killedAt);
    stored = await readAll();
    const { calls, refused, acknowledged } = tally;
    t.diagnostic(
      `seed ${seed}: ${calls} calls, ${killer.kills()} kills, ${refused} refused, ` +
        `${acknowledged.length} acknowledged writes, answers ${answeringAgainMs} ms after`,
    );
    assert.ok(killer.kills() > seconds && acknowledged.length > 0);
  });

  it('shows no foreign row', () => assert.deepEqual(tally.foreign, []));

  it('stores no row in the wrong tenant', () => assert.deepEqual(misplaced, []));

  it('ends every call', () => assert.equal(tally.endless, 0));

  it('refuses with nothing but `unavailable`', () => assert.deepEqual(tally.odd, []));

  it('loses no acknowledged write', () => {
    const lost = tally.acknowledged.filter(({ ids }) => ids.some((id) => !stored.has(id)));
    assert.deepEqual(lost, []);
  });

  it('keeps every row with the tenant that wrote it', () => {
    const strayed = [...tally.acknowledged, ...tally.doubtful].filter(({ tenant, ids }) =>
      ids.some((id) => (stored.get(id) ?? tenant) !== tenant),
    );
    assert.deepEqual(strayed, []);
  });

  it('has written each transaction as a whole or not at all', () => {
    const torn = tally.doubtful.filter(
      ({ ids }) => new Set(ids.map((id) => stored.has(id))).size > 1,
    );
    assert.deepEqual(torn, []);
  });

  it('leaves no error uncaught', () => assert.deepEqual(uncaught, []));

  function answers(tenant: TenantRef): Promise<boolean> {
    const { isolation } = fixture.services;
    return read(isolation, tenant, tally).then(
      () => true,
      () => false,
    );
  }

  /** The placement of shared mode is read once for all of its tenants. */
  async function readAll(): Promise<Map<string, TenantRef>> {
    const found = new Map<string, TenantRef>();
    for (const placement of new Set(tenants.map(fixture.placementOf))) {
      const owners = tenants.filter((tenant) => fixture.placementOf(tenant) === placement);
      const rows = await fixture.asSuperuser(placement, 'select id, tenant_id, name from pets');
      for (const { id, tenant_id, name } of rows) {
        const owner = owners.find((tenant) => isOf({ tenant_id, name }, tenant));
        if (owner) found.set(id, owner);
        else misplaced.push({ placement: placement.schema, id, tenant_id, name });
      }
    }
    return found;
  }
});
