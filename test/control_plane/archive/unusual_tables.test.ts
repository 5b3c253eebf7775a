/** Tables that migrations may add, and that sql/tenant has none of, are moved, exported, imported and restored. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { restoreTenant } from '../../../src/control_plane/archive/restore_tenant.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { exportTo, importFrom, openArchive, sealArchive } from '../../support/archives.ts';
import {
  type ExtendedInstallation,
  guarded,
  guards,
  openExtended,
  slugOf,
} from '../../support/more_tables.ts';
import { pairs, tenantOf } from '../../support/moving_fixture.ts';

type Numbered = { number: number };

type UnusualTables = ExtendedInstallation & {
  run<Result>(slug: string, work: (db: Db) => Promise<Result>): Promise<Result>;
  move(slug: string, to: IsolationModeName, onCopied?: () => Promise<unknown>): Promise<string>;
  exported(slug: string): Promise<string>;
  imported(file: string, slug: string, isolation: IsolationModeName): Promise<unknown>;
  restore(slug: string, file: string): Promise<number>;
  /** The checksums of a tenant's tables. */
  rowsOf(slug: string): Promise<unknown>;
};

async function openTables(migration: string): Promise<UnusualTables> {
  const folder = await mkdtemp(join(tmpdir(), 'kennel-unusual-'));
  const extended = await openExtended(migration);
  const { services } = extended;
  const { archives, exports, moves, pools } = services;
  let files = 0;
  const exported = async (slug: string) => {
    files += 1;
    const file = join(folder, `${files}.gz`);
    await exportTo(file, services, slug);
    return file;
  };
  return {
    ...extended,
    exported,
    run: async (slug, work) => services.isolation.run(await tenantOf(services, slug), work),
    move: async (slug, to, onCopied = async () => {}) => {
      const onStep = async (step: string) => {
        if (step === 'copied') await onCopied();
      };
      const { finished } = await moves.begin(
        { slug: slugOf(slug), to, requestId: null },
        { onStep },
      );
      return (await finished).state;
    },
    imported: (file, slug, isolation) => importFrom(file, services, slug, isolation),
    restore: async (name, file) => {
      files += 1;
      const now = () => new Date(files);
      const parts = { archives, exports, moves, serving: pools.serving, now };
      const options = { file, slug: slugOf(name), onProgress: () => {} };
      return (await restoreTenant(parts, options)).rows;
    },
    rowsOf: async (slug) => (await openArchive(await exported(slug))).trailer.tables,
    close: async () => {
      await extended.close();
      await rm(folder, { recursive: true });
    },
  };
}

describe("types of a tenant's schema", () => {
  let tables: UnusualTables;
  before(async () => {
    tables = await openTables(`
      create type mood as enum ('sad', 'glad');
      create domain code as text check (value <> '');
      create type pair as (mood mood, words text);
      ${guarded('diaries', 'mood mood, moods mood[], code code, pair pair, pairs pair[]')}
      create table kinds (
        tenant_id uuid not null default kernel.tenant(), mood mood not null, code code not null,
        primary key (tenant_id, mood, code)
      );
      ${guards('kinds')}`);
    for (const mode of isolationModes) {
      await tables.onboard(`in-${mode}`, mode);
      await tables.run(`in-${mode}`, async (db) => {
        await db`
          insert into diaries (id, mood, moods, code, pair, pairs)
          values (gen_random_uuid(), 'glad', '{sad,NULL}', 'x', '(sad,"a ""b"" c")', '{"(glad,)"}')`;
        await db`
          insert into kinds (mood, code)
          select mood::mood, n from unnest(array['glad', 'sad']) as mood, generate_series(1, 700) as n`;
      });
    }
  });
  after(() => tables.close());

  for (const [mode, other] of [
    ['shared', 'schema'],
    ['schema', 'database'],
    ['database', 'shared'],
  ] as const) {
    it(`are imported from ${mode} in ${other} mode, and restored`, async () => {
      const expected = await tables.rowsOf(`in-${mode}`);
      const file = await tables.exported(`in-${mode}`);
      await tables.imported(file, `now-in-${other}`, other);
      assert.deepEqual(await tables.rowsOf(`now-in-${other}`), expected);
      await tables.run(`in-${mode}`, (db) => db`update diaries set mood = null`);
      assert.equal(await tables.restore(`in-${mode}`, file), 1402);
      assert.deepEqual(await tables.rowsOf(`in-${mode}`), expected);
    });
  }

  it('are moved, in each mode', async () => {
    const before = await tables.rowsOf('in-shared');
    const change = () => tables.run('in-shared', (db) => db`update diaries set mood = mood`);
    for (const to of ['schema', 'database', 'shared'] as const) {
      assert.equal(await tables.move('in-shared', to, change), 'done');
      assert.deepEqual(await tables.rowsOf('in-shared'), before);
    }
  });
});

describe('identity columns', () => {
  let tables: UnusualTables;
  before(async () => {
    tables = await openTables(`
      ${guarded('bills', 'number bigint generated always as identity, text text')}
      ${guarded('notes', 'number int generated by default as identity')}
      ${guarded('tens', 'number int generated always as identity (start with 5 increment by 10)')}
      create table tickets (
        tenant_id uuid not null default kernel.tenant(), number bigint generated always as identity,
        text text, primary key (tenant_id, number)
      );
      ${guards('tickets')}`);
  });
  after(() => tables.close());

  /** Adds a row to each table. @returns their numbers. */
  const add = (slug: string) =>
    tables.run(slug, async (db) => {
      const added = [
        await db<Numbered>`insert into bills (id) values (gen_random_uuid()) returning number`,
        await db<Numbered>`insert into notes (id) values (gen_random_uuid()) returning number`,
        await db<Numbered>`insert into tens (id) values (gen_random_uuid()) returning number`,
        await db<Numbered>`insert into tickets default values returning number`,
      ];
      return added.map(([row]) => row?.number ?? 0);
    });

  /** Onboards a tenant, and adds three rows to each table. @returns the last numbers. */
  const filled = async (slug: string, mode: IsolationModeName) => {
    await tables.onboard(slug, mode);
    await add(slug);
    await add(slug);
    return add(slug);
  };

  /** The number after each one, for a sequence that no other tenant uses. */
  const following = ([bill = 0, note = 0, ten = 0, ticket = 0]: number[]) => [
    ...[bill + 1, note + 1, ten + 10, ticket + 1],
  ];

  for (const { from, to } of pairs) {
    it(`count on behind a move from ${from} to ${to}`, async () => {
      const slug = `${from}-to-${to}`;
      const last = await filled(slug, from);
      const change = () => tables.run(slug, (db) => db`update bills set text = 'changed'`);
      assert.equal(await tables.move(slug, to, change), 'done');
      const numbers = await add(slug);
      if (to === 'shared') numbers.map((number, at) => assert.ok(number > (last[at] ?? 0)));
      else assert.deepEqual(numbers, following(last));
    });
  }

  for (const mode of isolationModes) {
    it(`count on behind an import and a restore in ${mode} mode`, async () => {
      const last = await filled(`kept-in-${mode}`, 'schema');
      const file = await tables.exported(`kept-in-${mode}`);
      await tables.imported(file, `loaded-in-${mode}`, mode);
      const numbers = await add(`loaded-in-${mode}`);
      if (mode === 'shared') numbers.map((number, at) => assert.ok(number > (last[at] ?? 0)));
      else assert.deepEqual(numbers, following(last));
      await tables.asSuperuser(`kept-in-${mode}`, (sql) => {
        return sql`alter table bills alter number restart; alter table notes alter number restart`.simple();
      });
      await tables.restore(`kept-in-${mode}`, file);
      assert.deepEqual(await add(`kept-in-${mode}`), following(last));
    });
  }

  it('begin with their first number when no row has come', async () => {
    await tables.onboard('empty', 'schema');
    await tables.imported(await tables.exported('empty'), 'still-empty', 'schema');
    await tables.move('still-empty', 'database');
    assert.deepEqual(await add('still-empty'), [1, 1, 5, 1]);
  });

  it('pass over a large distance at once, and never go back for other tenants', async () => {
    const [, before = 0] = await filled('far', 'shared');
    const far = before + 5_000_000;
    await tables.run('far', (db) => db`update notes set number = ${far} where number = ${before}`);
    await filled('near', 'schema');
    assert.equal(await tables.move('far', 'schema'), 'done');
    assert.equal((await add('far'))[1], far + 1);
    assert.equal(await tables.move('far', 'shared'), 'done');
    assert.equal((await add('far'))[1], far + 2);
    assert.equal(await tables.move('near', 'shared'), 'done');
    assert.equal((await add('near'))[1], far + 3);
  });
});

describe('a table with more than a hundred columns', () => {
  let tables: UnusualTables;
  before(async () => {
    const columns = Array.from({ length: 101 }, (_, at) => `c${at} text default '${at} "é"\\'`);
    tables = await openTables(guarded('wide', columns.join(', ')));
    await tables.onboard('wide', 'schema');
    await tables.run(
      'wide',
      (db) => db`insert into wide (id, c7) values (gen_random_uuid(), null)`,
    );
  });
  after(() => tables.close());

  it('is exported and imported', async () => {
    const file = await tables.exported('wide');
    await tables.imported(file, 'as-wide', 'shared');
    assert.deepEqual(await tables.rowsOf('as-wide'), await tables.rowsOf('wide'));
  });
});

describe('a table that a cycle refers to', () => {
  let tables: UnusualTables;
  before(async () => {
    const owned =
      'tenant_id uuid not null default kernel.tenant(), id uuid, primary key (tenant_id, id)';
    tables = await openTables(`
      ${guarded('papers', 'text text')}
      create table houses (${owned}, owner uuid, paper uuid, foreign key (tenant_id, paper) references papers);
      create table owners (${owned}, house uuid not null, foreign key (tenant_id, house) references houses);
      alter table houses add foreign key (tenant_id, owner) references owners;
      ${guards('houses')} ${guards('owners')}`);
    await tables.onboard('cycle', 'schema');
    await tables.run(
      'cycle',
      (db) => db`
        with paper as (insert into papers (id) values (gen_random_uuid()) returning id),
          house as (
            insert into houses (id, owner, paper) select id, id, id from paper returning id
          )
        insert into owners (id, house) select id, id from house`,
    );
  });
  after(() => tables.close());

  it('is imported, also from an older archive, where it stands behind the cycle', async () => {
    const file = await tables.exported('cycle');
    const { header, rows } = await openArchive(file);
    const at = header.tables.findIndex(({ name }) => name === 'papers');
    assert.ok(at < header.tables.findIndex(({ name }) => name === 'houses'));
    const before = [...header.account, ...header.tables.slice(0, at)];
    const [papers = []] = [
      rows.splice(
        before.reduce((sum, one) => sum + one.rows, 0),
        1,
      ),
    ];
    const ordered = [...header.tables];
    ordered.push(...ordered.splice(at, 1));
    const older = { header: { ...header, tables: ordered }, rows: [...rows, ...papers] };
    await writeFile(`${file}.older`, sealArchive(older));
    for (const [slug, from] of [
      ['now', file],
      ['older', `${file}.older`],
    ] as const) {
      await tables.imported(from, slug, 'schema');
      assert.deepEqual(await tables.rowsOf(slug), await tables.rowsOf('cycle'));
    }
  });
});

describe('a trigger of a migration', () => {
  let tables: UnusualTables;
  before(async () => {
    tables = await openTables(`
      ${guarded('logs', 'pet uuid')}
      create function log_pet() returns trigger language plpgsql as $$ begin
        insert into logs (id, pet) values (gen_random_uuid(), new.id);
        return new;
      end $$;
      create trigger log after insert or update on pets for each row execute function log_pet();`);
    for (const mode of isolationModes) await tables.onboard(`logged-in-${mode}`, mode);
  });
  after(() => tables.close());

  it('would run for copied rows, so nothing is moved, imported or restored', async () => {
    const wouldRun =
      /Cannot copy the table "pets": its trigger "log" would run for the copied rows/;
    const says = (error: Error) => wouldRun.test(`${error.message} ${error.cause ?? ''}`);
    for (const { from, to } of pairs) {
      const slug = `logged-in-${from}`;
      const before = await tables.rowsOf(slug);
      await assert.rejects(tables.move(slug, to), says);
      const file = await tables.exported(slug);
      await assert.rejects(tables.imported(file, `as-${slug}`, to), says);
      await assert.rejects(tables.restore(slug, file), says);
      assert.deepEqual(await tables.rowsOf(slug), before);
    }
  });

  it('control: while it is disabled, a tenant is moved', async () => {
    for (const slug of ['logged-in-schema', 'logged-in-shared']) {
      await tables.asSuperuser(slug, (sql) => sql`alter table pets disable trigger log`);
    }
    assert.equal(await tables.move('logged-in-schema', 'shared'), 'done');
  });
});

describe('a rule of a migration', () => {
  it('would run for copied rows, too', async () => {
    const tables = await openTables(`
      ${guarded('logs', 'pet uuid')}
      create rule log as on delete to pets do also
        insert into logs (id, pet) values (gen_random_uuid(), old.id);`);
    await tables.onboard('ruled', 'schema');
    const before = await tables.rowsOf('ruled');
    await assert.rejects(
      tables.move('ruled', 'shared'),
      /its rule "log" would run for the copied rows/,
    );
    assert.deepEqual(await tables.rowsOf('ruled'), before);
    await tables.close();
  });
});

describe('a restrictive policy', () => {
  const notes = guarded('notes', 'words text');
  const add = (db: Db) => db`insert into notes (id, words) values (gen_random_uuid(), 'hello')`;

  it('for everyone hides rows from moves, archives and deletions, which are refused', async () => {
    const tables = await openTables(`${notes}
      create policy shown on notes as restrictive for select using (words <> 'hidden');`);
    const hides = /Cannot read all rows of "notes": its policy "shown" hides some from the owner/;
    const says = (error: Error) => hides.test(`${error.message} ${error.cause ?? ''}`);
    await tables.onboard('hiding', 'shared');
    await tables.onboard('arriving', 'schema');
    await assert.rejects(tables.move('hiding', 'schema'), says);
    await assert.rejects(tables.exported('hiding'), says);
    await assert.rejects(tables.services.onboarding.remove(slugOf('hiding'), null), says);
    // It is served as before.
    await tables.run('hiding', add);
    await tables.asSuperuser('arriving', (sql) => sql`drop policy shown on notes`);
    const file = await tables.exported('arriving');
    await assert.rejects(tables.move('arriving', 'shared'), says);
    await assert.rejects(tables.imported(file, 'imported', 'shared'), says);
    const begun = await tables.services.control`
      select slug from control.tenants where slug = 'imported' or status <> 'active'
      union all
      select 'move' from control.moves`;
    assert.deepEqual(begun, []);
    await tables.asSuperuser('hiding', (sql) => sql`drop policy shown on notes`);
    await tables.services.onboarding.remove(slugOf('hiding'), null);
    await tables.close();
  });

  it('for the serving role alone hinders nothing', async () => {
    const tables = await openTables(`${notes}
      create policy shown on notes as restrictive for select to :"app" using (words <> 'hidden');`);
    await tables.onboard('showing', 'schema');
    await tables.run('showing', add);
    const before = await tables.rowsOf('showing');
    const file = await tables.exported('showing');
    assert.equal(await tables.move('showing', 'shared'), 'done');
    await tables.run('showing', (db) => db`update notes set words = 'bye'`);
    assert.equal(await tables.restore('showing', file), 2);
    assert.deepEqual(await tables.rowsOf('showing'), before);
    await tables.close();
  });
});

describe('a primary key that includes further columns, and a virtual column', () => {
  let tables: UnusualTables;
  before(async () => {
    tables = await openTables(`
      create table names (
        tenant_id uuid not null default kernel.tenant(), id uuid not null, name text,
        primary key (tenant_id, id) include (name)
      );
      ${guards('names')}
      do $$ begin
        if current_setting('server_version_num')::int >= 180000 then
          alter table names add upper_name text generated always as (upper(name)) virtual;
        end if;
      end $$`);
    await tables.onboard('names', 'schema');
    await tables.run(
      'names',
      (db) => db`
      insert into names (id, name) values (gen_random_uuid(), 'a'), (gen_random_uuid(), null)`,
    );
  });
  after(() => tables.close());

  it('are moved, exported, imported and restored', async () => {
    const before = await tables.rowsOf('names');
    const file = await tables.exported('names');
    const change = () => tables.run('names', (db) => db`update names set name = 'b'`);
    assert.equal(await tables.move('names', 'shared', change), 'done');
    await tables.imported(file, 'as-names', 'shared');
    assert.deepEqual(await tables.rowsOf('as-names'), before);
    await tables.restore('names', file);
    assert.deepEqual(await tables.rowsOf('names'), before);
  });

  it('cannot be moved with a deferrable key, and says so', async () => {
    await tables.imported(await tables.exported('names'), 'deferred', 'schema');
    await tables.asSuperuser('deferred', (sql) =>
      sql`
        alter table names drop constraint names_pkey,
          add primary key (tenant_id, id) deferrable`.simple(),
    );
    await assert.rejects(tables.move('deferred', 'shared'), (error: Error) => {
      const { cause = error } = error;
      assert.match(
        `${error.message} ${cause}`,
        /Cannot move the table "names": its primary key is deferrable/,
      );
      return true;
    });
  });
});
