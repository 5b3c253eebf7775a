import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  deletionOrder,
  restricting,
} from '../../../src/control_plane/provisioning/tenant_tables.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import {
  type ExtendedInstallation,
  guarded,
  moreTables,
  openExtended,
} from '../../support/more_tables.ts';

const table = (name: string, ...refersTo: string[]) => ({ name, refersTo });

describe('deletionOrder()', () => {
  it('puts a table before the tables that it refers to', () => {
    const tables = [table('pets'), table('toys', 'visits'), table('visits', 'pets')];
    assert.deepEqual(deletionOrder(tables), [['toys'], ['visits'], ['pets']]);
  });

  it('accepts a table that refers to itself', () => {
    assert.deepEqual(deletionOrder([table('folders', 'folders')]), [['folders']]);
  });

  it('keeps a cycle of tables together, after tables that refer to it', () => {
    const ring = [table('houses', 'owners'), table('owners', 'houses')];
    const tables = [...ring, table('keys', 'houses')];
    assert.deepEqual(deletionOrder(tables), [['keys'], ['houses', 'owners']]);
  });

  it('keeps tables out of a cycle that only it refers to', () => {
    const ring = [table('houses', 'owners'), table('owners', 'houses', 'docs')];
    const tables = [table('docs', 'files', 'docs'), table('files'), ...ring];
    assert.deepEqual(deletionOrder(tables), [['houses', 'owners'], ['docs'], ['files']]);
  });

  it('keeps two cycles apart, the one that refers to the other first', () => {
    const first = [table('c', 'd'), table('d', 'c', 'between')];
    const second = [table('a', 'b'), table('b', 'a')];
    const tables = [...second, table('between', 'b'), ...first];
    assert.deepEqual(deletionOrder(tables), [['c', 'd'], ['between'], ['a', 'b']]);
  });
});

describe('a table that a migration adds', () => {
  let extended: ExtendedInstallation;
  before(async () => {
    extended = await openExtended(moreTables);
    for (const mode of isolationModes) await extended.onboard(`in-${mode}`, mode);
  });
  after(() => extended.close());

  for (const mode of isolationModes) {
    it(`gets its rights by column in ${mode} mode without a grant in the file`, async () => {
      const rights = await extended.asSuperuser(`in-${mode}`, (sql) => {
        return sql<{ rights: string; columns: string }[]>`
          select
            (
              select string_agg(privilege_type, ' ' order by privilege_type)
              from aclexplode(relacl)
              where grantee <> relowner
            ) as rights,
            (
              select string_agg(distinct entries::text, ' ')
              from (
                select string_agg(privilege_type, ' ' order by privilege_type) as entries
                from pg_attribute cross join lateral aclexplode(attacl)
                where attrelid = pg_class.oid and not attisdropped and attnum > 0
                group by attnum
              ) as by_column
            ) as columns
          from pg_class
          where oid = 'toys'::regclass`;
      });
      assert.deepEqual([...rights], [{ rights: 'SELECT', columns: 'INSERT UPDATE' }]);
    });

    it(`is read and written by handlers in ${mode} mode`, async () => {
      const { control, isolation } = extended.services;
      const [tenant] = await control<{
        id: never;
        isolation: never;
        server: never;
        generation: never;
      }>`
        select id, isolation, server, generation from control.tenants where slug = ${`in-${mode}`}`;
      assert.ok(tenant);
      const rows = await isolation.run(tenant, async (db) => {
        await db`insert into folders (id) values (gen_random_uuid())`;
        return db<{ own: boolean }>`select tenant_id = kernel.tenant() as own from folders`;
      });
      assert.deepEqual([...rows], [{ own: true }]);
    });
  }

  it('is not changed by a start when its rights are right', async () => {
    const state = () =>
      extended.asSuperuser('in-schema', (sql) => {
        return sql`
          select relname as name, xmin::text as version
          from pg_class
          where relnamespace = current_schema()::regnamespace
          union all
          select relname || '.' || attname, pg_attribute.xmin::text
          from pg_attribute
            join pg_class on pg_class.oid = attrelid
          where relnamespace = current_schema()::regnamespace and attnum > 0
          order by name`;
      });
    const before = await state();
    const { app, owner } = extended.services.fleet.installation.roles;
    await extended.asSuperuser('in-schema', async (sql) => {
      const [place] = await sql<{ schema: string }[]>`select current_schema() as schema`;
      assert.ok(place);
      await sql.unsafe(`set role "${owner}"; ${restricting([place.schema], app)}`);
    });
    assert.deepEqual(await state(), before);
  });
});

describe('a tenant migration', () => {
  const fine = guarded('toys', 'name text');
  for (const [what, text, expected] of [
    ['without a tenant', 'create table toys (id uuid)', 'no column "tenant_id uuid not null'],
    [
      'whose tenant may be null',
      fine
        .replace('not null default', 'default')
        .replace('primary key (tenant_id, id)', 'unique (id)'),
      'no column',
    ],
    ['whose tenant is not the context', fine.replace('default kernel.tenant()', ''), 'no column'],
    ['without row security', fine.replace(/alter table \w+ enable.*/, ''), 'no row security'],
    [
      'whose row security is not forced',
      fine.replace(/alter table \w+ force.*/, ''),
      'no row security',
    ],
    ['without a policy', fine.replace(/create policy.*/, ''), 'no policy "tenant_rows"'],
    // Its owner would not see the rows that it moves, exports or deletes.
    [
      'whose policy is for a role',
      fine.replace('using (', 'to :"app" using ('),
      'a policy "tenant_rows" other',
    ],
    [
      'whose policy hides more',
      fine.replace('(select kernel.tenant())', "(select kernel.tenant()) and name <> 'x'"),
      'a policy "tenant_rows" other',
    ],
    [
      'with statistics over columns',
      `${fine} create statistics pairs on name, id from toys`,
      'extended statistics',
    ],
  ] as const) {
    it(`is refused with a table ${what}`, async () => {
      await assert.rejects(openExtended(text), (error: Error) => {
        assert.match(error.message, new RegExp(expected));
        return true;
      });
    });
  }
});
