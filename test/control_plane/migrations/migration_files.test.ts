import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  migrationOf,
  readMigrations,
} from '../../../src/control_plane/migrations/migration_files.ts';

const breaking = (text: string) => migrationOf(3, 'more', text).breaking;

describe('a migration file', () => {
  it('without a "Servers:" line is compatible with running servers if it only adds', () => {
    const additive = [
      '',
      'create table a (id int); create unique index on a (id); create policy p on a using (true);',
      'create table a (id int); alter table only a add check (id > 0);',
      'create table if not exists a (id int)',
      'create table shared.a (id int); alter table shared.a alter column id set not null',
      'create index on pets (name)',
      'create function f() returns int language sql as $$ select 1 $$',
      'alter table pets add column a text, add b numeric(5, 2) not null default 0, add c date null',
      'alter table if exists pets add column if not exists a text',
      'alter table "pets" add column a int not null generated always as identity',
      'alter table pets enable row level security; alter table pets force row level security',
      'alter table pets alter column name set statistics 0',
      "comment on table pets is 'drop table pets'; grant select on pets to a",
    ];
    const others = [
      'alter table pets add column a text not null',
      'alter table pets add a text unique',
      'alter table pets add a text default 1 check (a > 0)',
      'alter table pets add n bigserial',
      'alter table pets add constraint c check (true)',
      'alter table pets add check (true)',
      'alter table pets add not null breed',
      'create table if not exists pets (id int); alter table pets drop column name',
      'alter table pets add a text, drop column name',
      'alter table pets rename column name to title',
      'alter table pets alter column name type varchar(10)',
      'alter table pets alter column breed set not null',
      'alter table pets disable row level security',
      'create unique index on pets (name)',
      'create policy p on pets as restrictive using (false)',
      'create or replace function f() returns int language sql as $$ select 1 $$',
      'create trigger t before insert on pets execute function f()',
      'create table a (id int); drop table a',
      'drop table visits',
      'update pets set name = name',
      'revoke select on pets from a',
      'do $$ begin perform 1; end $$',
      'select 1',
      'create table a (id int); alter table b add check (true)',
    ];
    for (const text of additive) assert.equal(breaking(text), false, text);
    for (const text of others) assert.equal(breaking(text), true, text);
  });

  it('is compatible or breaking as its "Servers:" line says', () => {
    assert.equal(breaking('-- Servers: compatible with the version before\ndrop table a'), false);
    assert.equal(breaking('-- Servers: must know this file.\ncreate table a ()'), true);
    assert.equal(breaking('--servers:  MUST KNOW THIS FILE \r\ncreate table a ()'), true);
    assert.equal(breaking("-- The servers: both.\nselect '\n-- Servers: any\n'"), true);
    assert.throws(
      () => breaking('select 1;\n-- Servers: any'),
      /"003_more\.sql", line 2: expected "-- Servers: compatible with the version before" or/,
    );
    const twice = '-- Servers: must know this file\n';
    assert.throws(() => breaking(twice + twice), /line 2: there is a second/);
  });

  it('cannot contain a statement that ends its transaction or needs psql', () => {
    const refused = [
      'begin',
      'START transaction',
      'commit',
      'commit prepared $$a$$',
      'end',
      'rollback',
      'rollback work',
      'rollback and chain',
      'abort',
      "prepare transaction 'a'",
      'co/**/mmit; commit',
      '/* a */ commit -- b',
      'copy pets from stdin',
      'copy pets to stdout',
    ];
    for (const text of refused) {
      assert.throws(() => migrationOf(3, 'more', `select 1;\n\n${text};`), /line 3: /, text);
    }
    const taken = [
      'savepoint a',
      'rollback to a',
      'rollback work to savepoint a',
      'release a',
      'prepare a as select 1',
      "do $$ begin execute 'commit'; end $$",
      'create function f() returns int language sql begin atomic select 1; end',
    ];
    for (const text of taken) assert.equal(migrationOf(3, 'more', text).statements.length, 1, text);
  });

  it('is every SQL file of its folder, but for those that are named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    try {
      await writeFile(join(folder, '001_a.sql'), 'select 1');
      await writeFile(join(folder, 'other.sql'), 'select :other');
      await assert.rejects(
        readMigrations(folder),
        /expected "002_<name>\.sql", found "other\.sql"/,
      );
      const migrations = await readMigrations(folder, ['other.sql']);
      assert.deepEqual(
        migrations.map(({ name }) => name),
        ['a'],
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('may begin with a byte order mark, and must be UTF-8', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    const write = (bytes: Buffer) => writeFile(join(folder, '001_a.sql'), bytes);
    try {
      await write(Buffer.from('\ufeffselect 1'));
      const [marked] = await readMigrations(folder);
      await write(Buffer.from('select 1'));
      const [plain] = await readMigrations(folder);
      assert.equal(marked?.checksum, plain?.checksum);
      assert.deepEqual(marked?.statements[0]?.words, ['select', '1']);
      await write(Buffer.from("select 'B\u00e4r'", 'latin1'));
      await assert.rejects(readMigrations(folder), /"001_a\.sql" is not in UTF-8/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
