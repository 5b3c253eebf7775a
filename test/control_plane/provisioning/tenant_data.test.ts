import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eraseRows } from '../../../src/control_plane/provisioning/tenant_data.ts';
import { type TenantId, tenantId } from '../../../src/kernel/tenant.ts';
import { schemas } from '../../../src/postgres/installation.ts';
import {
  type ExtendedInstallation,
  fillAll,
  guards,
  moreTables,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';

const knownTables = ['folders', 'houses', 'owners', 'pets', 'toys', 'visits'];

describe('the deletion of a shared tenant', () => {
  let extended: ExtendedInstallation;
  let everyTable: string[];
  before(async () => {
    extended = await openExtended(moreTables);
    for (const slug of ['leaving', 'staying']) await extended.onboard(slug, 'shared');
  });
  after(() => extended.close());

  /** The tables that hold rows of the tenant. */
  async function rowsOf(id: TenantId): Promise<string[]> {
    return extended.asSuperuser('staying', async (sql) => {
      const left: string[] = [];
      for (const table of everyTable) {
        const rows = await sql`select from ${sql(table)} where tenant_id = ${id}`;
        if (rows.length > 0) left.push(table);
      }
      return left;
    });
  }

  async function idOf(slug: string): Promise<TenantId> {
    const [row] = await extended.services.control<{ id: string }>`
      select id from control.tenants where slug = ${slug}`;
    return tenantId(row?.id ?? '');
  }

  it("deletes its rows from every tenant table of the catalog, and no other tenant's", async () => {
    const [leaving, staying] = [await idOf('leaving'), await idOf('staying')];
    for (const id of [leaving, staying]) {
      everyTable = await extended.asSuperuser('staying', (sql) => fillAll(sql, id));
    }
    for (const name of knownTables) assert.ok(everyTable.includes(name), name);
    const told: (readonly number[])[] = [];
    const receipt = await extended.services.onboarding.remove(
      slugOf('leaving'),
      null,
      (...progress) => told.push(progress),
    );
    assert.deepEqual(told.at(-1), [7, 7]);
    assert.deepEqual(
      Object.entries(receipt?.tables ?? {}),
      everyTable.map((name) => [name, name === 'pets' ? 2 : 1]),
    );
    assert.deepEqual(await rowsOf(leaving), []);
    assert.deepEqual(await rowsOf(staying), everyTable);
  });

  it('ends at its next transaction when another process has taken over', async () => {
    await extended.onboard('guarded', 'shared');
    const id = await idOf('guarded');
    const { fleet } = extended.services;
    const placement = fleet.installation.placement(schemas.shared);
    const erasing = (guard?: string) => eraseRows(fleet, { placement, tenant: id, guard });
    await assert.rejects(erasing('select 1 / 0'), /division by zero/);
    assert.deepEqual(await rowsOf(id), ['pets']);
    await erasing();
    assert.deepEqual(await rowsOf(id), [], 'control: without a guard they are deleted');
  });

  it('runs no trigger of a migration as the administrator', async () => {
    await extended.onboard('watched', 'shared');
    const role = 'made_by_a_trigger';
    // An object that a migration could have created as the owner.
    await extended.asSuperuser('staying', async (sql) => {
      const { owner } = extended.services.fleet.installation.roles;
      await sql.unsafe(`begin; set local role "${owner}";
        create function uprising() returns trigger language plpgsql as $$ begin
          reset role;
          create role ${role} superuser;
          return old;
        exception when insufficient_privilege then return old;
        end $$;
        create trigger uprising before delete on toys for each row execute function uprising();
        commit`);
    });
    const watched = await idOf('watched');
    await extended.asSuperuser('staying', (sql) => fillAll(sql, watched));
    const { onboarding } = extended.services;
    const outcome = await onboarding.remove(slugOf('watched'), null).then(() => 'removed', String);
    assert.match(outcome, /removed|permission denied to (set|create) role/);
    const made = () =>
      extended.asSuperuser('staying', (sql) => sql`select from pg_roles where rolname = ${role}`);
    assert.equal((await made()).length, 0);
    // control: the same deletion in the administrator's own session makes a superuser.
    await extended.asSuperuser('staying', async (sql) => {
      const { owner } = extended.services.fleet.installation.roles;
      await fillAll(sql, watched);
      await sql.unsafe(`alter table toys disable row level security`);
      await sql.unsafe(`set role "${owner}"; delete from toys where tenant_id = '${watched}'`);
    });
    assert.equal((await made()).length, 1);
    await extended.asSuperuser('staying', (sql) =>
      sql.unsafe(`drop role ${role};
      drop function uprising() cascade; alter table toys enable row level security`),
    );
  });

  it('fails and names the table when a policy keeps a row, and goes on when it does not', async () => {
    await extended.onboard('kept', 'shared');
    const kept = await idOf('kept');
    await extended.asSuperuser('staying', async (sql) => {
      await fillAll(sql, kept);
      await sql`create policy keep on toys as restrictive for delete using (false)`;
    });
    const remove = () => extended.services.onboarding.remove(slugOf('kept'), null);
    await assert.rejects(remove(), /Cannot read all rows of "toys": its policy "keep"/);
    assert.equal((await rowsOf(kept)).includes('toys'), true);
    await extended.asSuperuser('staying', (sql) => sql`drop policy keep on toys`);
    await remove();
    assert.deepEqual(await rowsOf(kept), []);
  });

  it('deletes more rows than the batch size', async () => {
    await extended.onboard('large', 'shared');
    const large = await idOf('large');
    await extended.asSuperuser(
      'staying',
      (sql) => sql`
        insert into pets (tenant_id, id, name, species)
        select ${large}::uuid, gen_random_uuid(), 'Rex', 'dog' from generate_series(1, 5001)`,
    );
    const receipt = await extended.services.onboarding.remove(slugOf('large'), null);
    assert.equal(receipt?.tables?.pets, 5_002);
    assert.deepEqual(await rowsOf(large), []);
  });
});

/** A table in two partitions, whose rows have the same `ctid`, and one without a key; a name like a parameter. */
const oddTables = `
  create table logs (
    tenant_id uuid not null default kernel.tenant(), "no$1" int not null, day date not null,
    primary key (tenant_id, day, "no$1")
  ) partition by range (day);
  create table logs_2024 partition of logs for values from ('2024-01-01') to ('2025-01-01');
  create table logs_2025 partition of logs for values from ('2025-01-01') to ('2026-01-01');
  create table notes (tenant_id uuid not null default kernel.tenant(), id int not null);
  ${['logs', 'logs_2024', 'logs_2025', 'notes'].map(guards).join('\n')}`;

describe('the deletion of a shared tenant with a partitioned table, and one without a key', () => {
  it("deletes all of its rows, and no other tenant's", async () => {
    const extended = await openExtended(oddTables);
    try {
      for (const slug of ['leaving', 'staying']) await extended.onboard(slug, 'shared');
      await extended.asSuperuser(
        'staying',
        (sql) => sql`
          with days as (
            insert into logs (tenant_id, "no$1", day)
            select tenants.id, n, day
            from control.tenants, generate_series(1, 1200) as n,
              unnest(array['2024-05-01', '2025-05-01']::date[]) as day
            returning tenant_id, logs."no$1"
          )
          insert into notes select * from days`,
      );
      const receipt = await extended.services.onboarding.remove(slugOf('leaving'), null);
      const { logs, notes, pets, ...others } = receipt?.tables ?? {};
      assert.deepEqual([logs, notes, pets], [2_400, 2_400, 1]);
      assert.equal(others.visits, 0);
      for (const rows of Object.values(others)) assert.equal(rows, 0);
      const left = await extended.asSuperuser(
        'staying',
        (sql) => sql`
          select (select count(*) from logs)::int as logs, (select count(*) from notes)::int as notes`,
      );
      assert.deepEqual([...left], [{ logs: 2_400, notes: 2_400 }]);
    } finally {
      await extended.close();
    }
  });
});
