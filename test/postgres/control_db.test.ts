import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sql } from '../../src/kernel/ports.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';

describe('controlDb()', () => {
  let fixture: TenantFixture;
  before(async () => {
    fixture = await openTenantFixture(1);
  });
  after(() => fixture.close());

  /** The number of backends that answered this many queries sent at the same moment. */
  async function backends(sql: Sql, asked: number): Promise<number> {
    const asking = Array.from(
      { length: asked },
      () => sql<{ pid: number }>`select pg_backend_pid() as pid`,
    );
    const answers = await Promise.all(asking);
    return new Set(answers.flat().map(({ pid }) => pid)).size;
  }

  it('shares one connection among lookups of one turn', async () => {
    assert.equal(await backends(fixture.services.lookups, 8), 1);
  });

  it('uses several connections for other statements of one turn', async () => {
    assert.ok((await backends(fixture.services.control, 8)) > 1);
  });

  it('answers more lookups than all batches can hold', async () => {
    const asking = Array.from(
      { length: 200 },
      (_, number) => fixture.services.lookups<{ number: number }>`select ${number}::int as number`,
    );
    const answers = (await Promise.all(asking)).map(([row]) => row?.number);
    assert.deepEqual(answers, [...answers.keys()]);
  });
});
