import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  changesText,
  deleteText,
  sumOfKeysText,
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

  const changes = changesText(pets, { capture: 'capture', rows: 200 }).join('$1');

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

  it('control: would read all rows for each page, as a join', async () => {
    const joined = changes.replace(/left join lateral \(.*\) as found on true/, () => {
      return 'left join pets as t on t.id = (changed.key::text[])[1]::uuid';
    });
    assert.match(await planOf(joined, ''), /Seq Scan on pets/);
  });
});
