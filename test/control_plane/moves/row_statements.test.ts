import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  changesText,
  deleteText,
  pageText,
  sumOfKeysText,
  sumPageText,
} from '../../../src/control_plane/moves/row_statements.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';

const key = [{ name: 'id', type: 'uuid' }];
const pets = { name: 'pets', shape: '', key, columns: [...key, { name: 'name', type: 'text' }] };

describe('statements on changed rows', () => {
  let database: TestDatabase;
  before(async () => {
    database = await testDatabase();
    await lookInto(database.url, (sql) =>
      sql.unsafe(`
        create table pets (tenant_id uuid, id uuid primary key default gen_random_uuid(), name text);
        alter table pets alter column tenant_id set statistics 0, alter column id set statistics 0;
        insert into pets (name) select 'x' from generate_series(1, 5000);
        create schema capture;
        create table capture.changes (name text not null, key text not null);
        create index on capture.changes (name, key);
        insert into capture.changes select 'pets', array[id::text]::text from pets;
        analyze`),
    );
  });
  after(() => database.drop());

  const planOf = (text: string, value: string) =>
    lookInto(database.url, async (sql) => {
      const rows = await sql.unsafe(`explain ${text}`, [value]);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });

  const changes = changesText(pets, { capture: 'capture', rows: 200, bytes: 1e6 }).join('$1');

  for (const [what, text, value] of [
    ['reads', changes, ''],
    ['compares', sumOfKeysText(pets).join('$1'), '{}'],
    ['deletes', deleteText(pets).join('$1'), '{}'],
  ] as const) {
    it(`${what} each by its key, although there are no statistics`, async () => {
      const plan = await planOf(text, value);
      assert.match(plan, /Index Scan using pets_pkey/);
      assert.doesNotMatch(plan, /Seq Scan on pets|Bitmap Heap Scan on pets/);
    });
  }

  it('deletes each by its place in the table', async () => {
    assert.match(await planOf(deleteText(pets).join('$1'), '{}'), /Tid Scan on pets /);
  });

  it('control: would read all rows for each page, as a join', async () => {
    const joined = changes.replace(/left join lateral \(.*\) as found on true/, () => {
      const rows = '(select id, (t.*)::text as row_text from pets as t)';
      return `left join ${rows} as found on found.id = (changed.key::text[])[1]::uuid`;
    });
    assert.match(await planOf(joined, ''), /Seq Scan on pets/);
  });
});

describe('statements on pages of rows', () => {
  const tenant = '00000000-0000-4000-8000-000000000001';
  const owned = [{ name: 'tenant_id', type: 'uuid' }, ...key];
  const visits = { ...pets, name: 'visits', key: owned };
  /** The key before the last hundred of 20 000 rows. */
  const before100 = `{${tenant},00000000-0000-4000-9000-000000019900}`;
  let database: TestDatabase;
  before(async () => {
    database = await testDatabase();
    await lookInto(database.url, (sql) =>
      sql.unsafe(`
        create table visits (tenant_id uuid, id uuid, name text, primary key (tenant_id, id));
        insert into visits
          select '${tenant}', ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, 'x'
          from generate_series(1, 20000) as n;
        alter table visits enable row level security;
        create policy tenant_rows on visits using (tenant_id = (select '${tenant}'::uuid));
        create role "${roleOf(database)}";
        grant select on visits to "${roleOf(database)}"`),
    );
    await lookInto(database.url, (sql) => sql.unsafe('vacuum (analyze) visits'));
  });
  after(() => database.drop());

  /** How many blocks the statement reads in the tenant's context. */
  const blocksOf = (text: string, value: string) =>
    lookInto(database.url, (sql) =>
      sql.begin(async (inside) => {
        await inside.unsafe(`set local role "${roleOf(database)}"`);
        const [row] = await inside.unsafe(`explain (analyze, buffers, format json) ${text}`, [
          value,
        ]);
        const { Plan: plan } = row?.['QUERY PLAN'][0] ?? {};
        assert.equal(plan['Actual Rows'], 1);
        return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      }),
    );

  const size = { isFirst: false, rows: 100 };
  const page = pageText(visits, { ...size, bytes: 1e6 }).join('$1');

  for (const [what, text] of [
    ['reads', page],
    ['compares', sumPageText(visits, size).join('$1')],
  ] as const) {
    it(`${what} the last page of a table as cheaply as the first`, async () => {
      assert.ok((await blocksOf(text, before100)) < 20);
    });
  }

  it('control: reads the whole index when the tenant is compared too', async () => {
    const whole = page
      .replace('where (t."id") > (', 'where (t."tenant_id", t."id") > (($1::text[])[1]::uuid, ')
      .replaceAll('order by t."id"', 'order by t."tenant_id", t."id"');
    assert.ok((await blocksOf(whole, before100)) > 80);
  });
});

/** Dropped with the database. */
function roleOf({ url }: TestDatabase): string {
  return `${new URL(url).pathname.slice(1)}_reader`;
}
