/** Rows that change while their tenant moves, in tables that are harder to move than those of `sql/tenant`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import type { IsolationModeName } from '../../../src/isolation/modes.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import {
  type ExtendedInstallation,
  guarded,
  guards,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';
import { followingIsolation, tenantOf } from '../../support/moving_fixture.ts';

const tables = `
  create table jobs (
    tenant_id uuid not null default kernel.tenant(), id int not null, state text not null,
    primary key (tenant_id, id, state)
  ) partition by list (state);
  create table jobs_open partition of jobs for values in ('open');
  create table jobs_closed partition of jobs for values in ('closed');
  ${['jobs', 'jobs_open', 'jobs_closed'].map(guards).join(';')}
  ${guarded('seats', 'place int not null, gone boolean not null default false')}
  create unique index on seats (tenant_id, place) where not gone;
  create table days (
    tenant_id uuid not null default kernel.tenant(), day date not null, at timestamptz not null,
    length interval not null, weight float8 not null, code bytea not null, note text,
    primary key (tenant_id, day, at, length, weight, code)
  );
  ${guards('days')}
  ${guarded('names', 't int, page int, changed int, gone int, found int, excluded int, row_text text, key text')}`;

describe('a row that changes during a move', () => {
  let installation: ExtendedInstallation;
  before(async () => {
    installation = await openExtended(tables);
  });
  after(() => installation.close());

  async function run<Result>(slug: string, work: (db: Db) => Promise<Result>): Promise<Result> {
    const tenant = await tenantOf(installation.services, slug);
    return followingIsolation(installation.services).run(tenant, work);
  }

  async function move(
    slug: string,
    { to, at, change }: { to: IsolationModeName; at: MoveStep; change: () => Promise<unknown> },
  ): Promise<void> {
    const order = { slug: slugOf(slug), to, requestId: null };
    const { finished } = await installation.services.moves.begin(order, {
      onStep: async (step) => {
        if (step === at) await change();
      },
    });
    assert.equal((await finished).state, 'done');
  }

  it('deletes no other row when it changes its partition', async () => {
    await installation.onboard('parts', 'shared');
    await run(
      'parts',
      (db) => db`
        insert into jobs (id, state)
        select n, case when n % 2 = 0 then 'open' else 'closed' end from generate_series(1, 10) as n`,
    );
    await move('parts', {
      ...{ to: 'schema', at: 'caught up' },
      change: () => run('parts', (db) => db`update jobs set state = 'closed' where id = 2`),
    });
    const jobs = await run('parts', (db) => db<{ id: number }>`select id from jobs order by id`);
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
  });

  for (const at of ['copied', 'caught up'] as const) {
    it(`may leave its unique value to a new row, after "${at}"`, async () => {
      const slug = `reused-${at.replace(' ', '-')}`;
      const first = '00000000-0000-7000-8000-000000000001';
      const second = '00000000-0000-7000-8000-000000000002';
      await installation.onboard(slug, 'schema');
      await run(slug, (db) => db`insert into seats (id, place) values (${first}, 1)`);
      const change = () =>
        run(slug, async (db) => {
          await db`update seats set gone = true where id = ${first}`;
          await db`insert into seats (id, place) values (${second}, 1)`;
        });
      await move(slug, { to: 'shared', at, change });
      const seats = await run(slug, (db) => db`select place, gone from seats order by id`);
      assert.deepEqual(seats, [
        { place: 1, gone: true },
        { place: 1, gone: false },
      ]);
    });
  }

  it('is found by its key, although a session of an operator writes it in another form', async () => {
    await installation.onboard('days', 'schema');
    const { id } = await tenantOf(installation.services, 'days');
    const change = () =>
      installation.asSuperuser('days', (sql) =>
        sql.unsafe(`
          set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set timezone = 'Asia/Tokyo';
          set extra_float_digits = 0; set bytea_output = 'escape';
          insert into days (tenant_id, day, at, length, weight, code)
          values ('${id}', '03/02/2024', '2024-02-03 04:05:06+00', '-1 day +02:00', 0.1 + 0.2::float8, '\\x00ff')`),
      );
    await move('days', { to: 'shared', at: 'copied', change });
    const days = await run('days', (db) => db`select day::text, weight::text from days`);
    assert.deepEqual(days, [{ day: '2024-02-03', weight: '0.30000000000000004' }]);
  });

  it('is copied, compared and deleted, whatever the names of its columns', async () => {
    await installation.onboard('names', 'schema');
    const rows = (db: Db) =>
      db`select right(id::text, 1) as id, t, row_text from names order by id`;
    const add = (db: Db) => db`
      insert into names (id, t, row_text)
      select ('00000000-0000-7000-8000-00000000000' || n)::uuid, n, 'x' from generate_series(1, 3) as n`;
    const change = () =>
      installation.asSuperuser('names', async (sql) => {
        await sql`update names set t = null, row_text = null where right(id::text, 1) = '2'`;
        await sql`delete from names where right(id::text, 1) = '3'`;
      });
    await run('names', add);
    await move('names', { to: 'shared', at: 'copied', change });
    assert.deepEqual(await run('names', rows), [
      { id: '1', t: 1, row_text: 'x' },
      { id: '2', t: null, row_text: null },
    ]);
  });

  it('may be larger, together with others, than the longest result', async () => {
    await installation.onboard('large', 'schema');
    await run(
      'large',
      (db) => db`
        insert into names (id, row_text)
        select gen_random_uuid(), 'short' from generate_series(1, 70)`,
    );
    const change = () =>
      installation.asSuperuser(
        'large',
        (sql) => sql`update names set row_text = repeat('x', 1e6::int)`,
      );
    await move('large', { to: 'shared', at: 'copied', change });
    const [sum] = await run(
      'large',
      (db) => db<{ chars: number }>`select sum(length(row_text)) as chars from names`,
    );
    assert.equal(sum?.chars, 70_000_000);
  });
});
