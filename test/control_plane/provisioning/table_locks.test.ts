/** LOCK TABLE checks no policy: with a right to a whole table, one tenant makes all others wait. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codeOf } from '../../../src/postgres/errors.ts';
import {
  type ServingContext,
  servingContexts,
  visibleTables,
} from '../../support/serving_tables.ts';
import { lookInto } from '../../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

/** All but ACCESS SHARE, which only makes migrations wait and comes with the right to read. */
const modes = [
  'row share',
  'row exclusive',
  'share update exclusive',
  'share',
  'share row exclusive',
  'exclusive',
  'access exclusive',
];

describe('LOCK TABLE by an injected statement', () => {
  let fixture: TenantFixture;
  let all: ServingContext[];
  before(async () => {
    fixture = await openTenantFixture(1);
    all = await servingContexts(fixture);
  });
  after(() => fixture.close());

  /** The result of each lock on the table, in a transaction that has lifted its own limits. */
  function attempts({ placement }: ServingContext, table: string): Promise<string[]> {
    const url = fixture.services.fleet.installation.adminUrlOf(placement);
    return lookInto(url, async (sql) => {
      const outcomes: string[] = [];
      for (const mode of modes) {
        const lock = sql.unsafe(
          `begin; set local role "${placement.role}"; set local lock_timeout = 0;
           set local statement_timeout = 0; lock table ${table} in ${mode} mode`,
        );
        outcomes.push(await lock.then(() => 'locked', codeOf));
        await sql.unsafe('rollback');
      }
      return outcomes;
    });
  }

  it('is refused for every table that a serving role sees, in every isolation mode', async () => {
    const refused = modes.map(() => '42501');
    for (const context of all) {
      const tables = await visibleTables(fixture, context);
      assert.ok(tables.length >= 2, context.name);
      for (const table of tables) {
        const outcomes = await attempts(context, table);
        // From Postgres 16 on, the right to read is enough for this lock, which blocks no
        // statement.
        if (outcomes[0] === 'locked') outcomes[0] = '42501';
        assert.deepEqual(outcomes, refused, `${table} in ${context.name}`);
      }
    }
  });

  it('control: is allowed with a right to the whole table', async () => {
    const locked = modes.map(() => 'locked');
    for (const context of all) {
      const [table = ''] = await visibleTables(fixture, context);
      await fixture.asSuperuser(context.placement, `grant delete on ${table} to public`);
      const outcomes = await attempts(context, table);
      assert.deepEqual(outcomes.slice(1), locked.slice(1), `${table} in ${context.name}`);
    }
  });
});
