import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  type Migration,
  migrationOf,
} from '../../../src/control_plane/migrations/migration_files.ts';
import {
  ignore,
  readLedger,
  upgrade,
  upgradeTogether,
} from '../../../src/control_plane/migrations/schema_migrator.ts';
import { createLogin, createRoles } from '../../../src/control_plane/provisioning/logins.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import { Installation, type Roles } from '../../../src/postgres/installation.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

function migrationsOf(...texts: string[]): Migration[] {
  return texts.map((text, index) => migrationOf(index + 1, `step_${index + 1}`, text));
}

describe('upgrade()', () => {
  let database: TestDatabase;
  let connection: Connection;
  let installation: Installation;
  let roles: Roles;
  let owner: string;
  let schema: string;
  let turn = 0;
  before(async () => {
    database = await testDatabase();
    // Without a limit of its own, so that only the upgrade's limit can end a wait for a lock.
    connection = await Connection.open(database.url, { ...connectionLimits, lockTimeoutMs: 0 });
    const secret = Buffer.alloc(32, 1);
    const secrets = { installation: secret, seals: { current: secret, other: null } };
    installation = new Installation(database.url, secrets, 1);
    ({ roles } = installation);
    ({ owner } = roles);
    await createRoles(connection, [owner]);
    await createLogin(connection, installation, { login: roles.migrate, server: 'main' });
    await connection.script(`grant "${owner}" to "${roles.migrate}"`);
  });
  after(async () => {
    connection.close();
    await database.drop();
  });
  beforeEach(async () => {
    turn += 1;
    schema = `s${turn}`;
    await connection.script(`create schema ${schema} authorization "${owner}"`);
  });

  /** In a session of the migrations' login, also without a limit of its own. */
  const migrating = async (work: (own: Connection) => Promise<void>) => {
    const url = installation.migrationUrlOf(installation.main);
    const own = await Connection.open(url, { ...connectionLimits, lockTimeoutMs: 0 });
    await work(own).finally(() => own.close());
  };

  const run = (...texts: string[]) => runWith(migrating, ...texts);

  const runWith = (lend: typeof migrating, ...texts: string[]) =>
    upgrade(connection, schema, upgradeOf(lend, ...texts));

  const upgradeOf = (lend: typeof migrating, ...texts: string[]) => ({
    owner,
    roles: { app: owner },
    migrations: migrationsOf(...texts),
    lockTimeoutMs: 50,
    migrating: lend,
    onApplied: ignore,
  });

  const tables = async (of = schema) => {
    const rows = await connection.plain<{ name: string }>`
      select tablename as name from pg_tables
      where schemaname = ${of} and tablename <> 'migrations'
      order by tablename`;
    return rows.map(({ name }) => name);
  };

  it('applies missing migrations, and none twice', async () => {
    assert.equal(await run('create table a ()'), 1);
    assert.equal(await run('create table a ()', 'create table b ()'), 2);
    assert.equal(await run('create table a ()', 'create table b ()'), 2);
    assert.deepEqual(await tables(), ['a', 'b']);
  });

  it('applies a file to several schemas, or to none when one of them has another version', async () => {
    const other = `${schema}_other`;
    await connection.script(`create schema ${other} authorization "${owner}"`);
    const files = ['create table a ()', 'create table b ()'] as const;
    const together = () => upgradeTogether([schema, other], 1, upgradeOf(migrating, ...files));
    await run(files[0]);
    await upgrade(connection, other, upgradeOf(migrating, ...files));
    await connection.script(`drop table ${other}.b`);
    await assert.rejects(together(), { code: '23502' });
    for (const one of [schema, other]) assert.deepEqual(await tables(one), ['a']);
    await connection.script(`delete from ${other}.migrations where version = 2`);
    await together();
    for (const one of [schema, other]) {
      assert.deepEqual(await tables(one), ['a', 'b']);
      assert.equal((await readLedger(connection, one, owner)).length, 2);
    }
  });

  it('keeps the migrations before a failure, and nothing of the failed one', async () => {
    const broken = 'create table b (); select 1 / 0';
    await assert.rejects(run('create table a ()', broken, 'create table c ()'), { code: '22012' });
    assert.deepEqual(await tables(), ['a']);
    assert.equal((await readLedger(connection, schema, owner)).length, 1);
    assert.equal(await run('create table a ()', 'create table b ()'), 2);
  });

  it('refuses a file that was edited after it was applied, and applies nothing', async () => {
    await run('create table a ()');
    const edited = run('create table a (x int)', 'create table b ()');
    await assert.rejects(edited, /"001_step_1\.sql" was edited after it had been applied/);
    assert.deepEqual(await tables(), ['a']);
  });

  it('does not change a schema that is ahead of the files', async () => {
    await run('create table a ()', 'create table b ()');
    assert.equal(await run('create table a ()'), 2);
  });

  it('gives up a lock after the lock timeout', async () => {
    await run('create table a ()');
    const other = await Connection.open(database.url, connectionLimits);
    await other.transaction('begin', async (sql) => {
      await sql`select pg_advisory_xact_lock(1)`;
      const waiting = run('create table a ()', 'select pg_advisory_xact_lock(1)');
      await assert.rejects(waiting, (error: Error) => codeOf(error.cause) === '55P03');
    });
    other.close();
  });

  it('applies files with quotes, variables and comments as psql does', async () => {
    await run(
      `create table a (b jsonb default '{"theme":"dark"}', c text default ':"app"', d "char"); -- it's
       comment on table a is $$ :"app" $$; select ''::"char"; -- note`,
      'create function f() returns int begin atomic select 1; end -- note',
    );
    const [row] = await connection.plain<{ defaults: string }>`
      select string_agg(pg_get_expr(adbin, adrelid), ' ' order by adnum) as defaults
      from pg_attrdef where adrelid = to_regclass(${`${schema}.a`})`;
    assert.equal(row?.defaults, `'{"theme": "dark"}'::jsonb ':"app"'::text`);
  });

  const evil = () => `evil_${schema}`;

  /** Makes the login a superuser, if it can leave its role. */
  const uprisings: (() => string)[] = [
    () => `reset role; create role ${evil()} superuser`,
    () => `set role none; create role ${evil()} superuser`,
    () => `set session authorization default; create role ${evil()} superuser`,
    () => `reset session authorization; create role ${evil()} superuser`,
    () => `select set_config('role', 'none', true); create role ${evil()} superuser`,
    () => `do $$ begin execute 'reset role'; execute 'create role ${evil()} superuser'; end $$`,
    () => `create function f() returns void language plpgsql as
        $f$ begin reset role; create role ${evil()} superuser; end $f$; select f()`,
  ];

  const isThere = async () =>
    (await connection.plain`select from pg_roles where rolname = ${evil()}`).length === 1;

  it('runs no statement of a file as the administrator', async () => {
    for (const uprising of uprisings) {
      const text = `create table a (); ${uprising()}`;
      await assert.rejects(
        run(text),
        (error: Error) => codeOf(error.cause ?? error) === '42501',
        text,
      );
      assert.equal(await isThere(), false);
    }
    assert.deepEqual(await tables(), []);
    assert.equal(await run('create table a (); reset role'), 1, "the ledger row is the owner's");
    assert.deepEqual(await tables(), ['a']);
  });

  it("control: in the administrator's session each of these files makes a superuser", async () => {
    for (const uprising of uprisings) {
      const own = await Connection.open(database.url, connectionLimits);
      await runWith((work) => work(own), uprising());
      own.close();
      assert.equal(await isThere(), true, uprising());
      await connection.script(`drop role ${evil()}; drop schema ${schema} cascade;
        create schema ${schema} authorization "${owner}"`);
    }
  });

  it('rolls back a migration that commits or rolls back by itself', async () => {
    const endings = [
      'do $$ begin commit; end $$',
      'create procedure p() language plpgsql as $$ begin rollback; end $$; call p()',
      "do $$ begin execute 'commit'; end $$",
    ];
    for (const ending of endings) {
      await assert.rejects(run(`create table a (); ${ending}; create table b ()`), ending);
      assert.deepEqual(await tables(), []);
      assert.deepEqual(await readLedger(connection, schema, owner), []);
    }
    assert.equal(await run('create table a (); savepoint s; drop table a; rollback to s'), 1);
    assert.deepEqual(await tables(), ['a']);
  });

  it('runs one statement at a time, and closes the connection when one ended the transaction', async () => {
    const own = await Connection.open(database.url, connectionLimits);
    const two = own.scripts('begin', [`create table ${schema}.a (); commit`], 'commit');
    await assert.rejects(two, { code: '42601' });
    assert.equal(own.live, true);
    await assert.rejects(own.scripts('begin', ['commit'], 'commit'));
    assert.equal(own.live, false);
    assert.deepEqual(await tables(), []);
  });

  it('applies nothing when a later file has a variable without a value', async () => {
    await assert.rejects(
      run('create table a ()', '\nselect :"nobody"'),
      /"002_step_2.sql", line 2/,
    );
    assert.deepEqual(await tables(), []);
  });

  it('resets the session between two files', async () => {
    await run("set search_path = pg_catalog; select set_config('x.y', '1', false)");
    const later = `create table b (); select 1 / coalesce(nullif(current_setting('x.y', true), ''), '1')::int`;
    await run("set search_path = pg_catalog; select set_config('x.y', '1', false)", later);
    assert.deepEqual(await tables(), ['b']);
  });

  it('makes every table owned by the owner role', async () => {
    await run('create table a ()');
    const [row] = await connection.plain`
      select tableowner from pg_tables where schemaname = ${schema} and tablename = 'a'`;
    assert.equal(row && 'tableowner' in row && row.tableowner, owner);
  });

  it('replaces variables by roles, and refuses an unknown role', async () => {
    await run('create table a (); grant select on a to :"app"');
    const nameless = run('create table a (); grant select on a to :"app"', 'reset :"nobody"');
    await assert.rejects(nameless, /no role has that name/);
  });
});
