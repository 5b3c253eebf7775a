import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sql } from '../../src/kernel/ports.ts';
import { openTenantPlaces, type TenantPlaces } from '../support/tenant_places.ts';

describe('the way to the control schema', () => {
  let places: TenantPlaces;
  before(async () => {
    places = await openTenantPlaces(1);
  });
  after(() => places.close());

  /** Backends that answered when so many asked in the same moment. */
  async function backends(sql: Sql, asked: number): Promise<number> {
    const asking = Array.from(
      { length: asked },
      () => sql<{ pid: number }>`select pg_backend_pid() as pid`,
    );
    const answers = await Promise.all(asking);
    return new Set(answers.flat().map(({ pid }) => pid)).size;
  }

  it('is one connection for the lookups of a moment', async () => {
    assert.equal(await backends(places.services.lookups, 8), 1);
  });

  it('is a connection for each statement of everybody else', async () => {
    assert.ok((await backends(places.services.control, 8)) > 1);
  });

  it('answers each of more lookups than fit into the batches of all connections', async () => {
    const asking = Array.from(
      { length: 200 },
      (_, number) => places.services.lookups<{ number: number }>`select ${number}::int as number`,
    );
    const answers = (await Promise.all(asking)).map(([row]) => row?.number);
    assert.deepEqual(answers, [...answers.keys()]);
  });
});
