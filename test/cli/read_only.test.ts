/** Commands that only read change nothing in the database, even if an older version set it up. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type DoctorFixture, openDoctorFixture } from '../support/doctor_fixture.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';

const commands: [command: string, ...words: string[]][] = [
  ['tenants', 'list'],
  ['tenants', 'query', 'select * from pets'],
  ['migrate', 'status'],
  ['doctor'],
  ['doctor', 'verify-audit'],
];

describe('a command that only reads', () => {
  let fixture: DoctorFixture;
  let empty: TestDatabase;
  before(async () => {
    fixture = await openDoctorFixture();
    empty = await testDatabase();
  });
  after(async () => {
    await empty.drop();
    await fixture.close();
  });

  /** Without the statistics, which autovacuum updates in place at any time. */
  const columnsOfPgClass =
    'oid, relname, relowner, relacl, reloptions, relrowsecurity, relforcerowsecurity, relhastriggers';

  /** All rows of Kennel, and every row of the catalog with the transaction that wrote it. */
  async function all(): Promise<string> {
    const rows = await lookInto(
      fixture.url,
      (sql) => sql<{ table: string; content: string }[]>`
        select relid::regclass::text as table,
          md5(query_to_xml(format('select xmin, %s from %s as t order by ctid',
            case relid when 'pg_class'::regclass then ${columnsOfPgClass} else '*' end, relid::regclass),
            true, false, '')::text) as content
        from (
          select oid as relid
          from pg_class
          where relkind = 'r' and (
            relnamespace::regnamespace::text in ('control', 'kernel', 'shared')
            or relname in ('pg_class', 'pg_attribute', 'pg_proc', 'pg_namespace', 'pg_policy',
              'pg_trigger', 'pg_constraint', 'pg_default_acl', 'pg_language')
          )
        ) as looked_at
        order by 1`,
    );
    assert.ok(rows.length > 20);
    return JSON.stringify(rows);
  }

  it('changes no row and no catalog entry, nor does a migration with nothing to do', async () => {
    const before = await all();
    const variables = { DATABASE_URL: fixture.url };
    const looking = [...commands, ['migrate', 'up'] as const];
    const answers = looking.map(([command, ...words]) => runCommand(command, words, variables));
    for (const { code, err } of await Promise.all(answers)) assert.equal(code, 0, err);
    assert.equal(await all(), before);
  });

  it('reports in one line that Kennel is not installed, and installs nothing', async () => {
    const variables = { DATABASE_URL: empty.url };
    const answers = commands
      .slice(0, 4)
      .map(([command, ...words]) => runCommand(command, words, variables));
    for (const { code, err } of await Promise.all(answers)) {
      assert.equal(code, 1, err);
      assert.match(
        err,
        /^kennel: Cannot use the database "\w+": Kennel is not installed; run npm start\n$/,
      );
    }
    const schemas = await lookInto(
      empty.url,
      (sql) => sql`select from pg_namespace where nspname in ('control', 'kernel', 'shared')`,
    );
    assert.equal(schemas.length, 0);
  });

  it('control: a command that changes a tenant is noticed', async () => {
    const before = await all();
    await runCommand('tenants', ['suspend', 'shared-zoo'], { DATABASE_URL: fixture.url });
    assert.notEqual(await all(), before);
  });

  it('reports in one line that other files installed the database', async () => {
    const { main } = fixture.names;
    await fixture.run(main, 'update control.migrations set checksum = reverse(checksum)');
    const { code, err } = await runCommand('doctor', [], { DATABASE_URL: fixture.url });
    await fixture.run(main, 'update control.migrations set checksum = reverse(checksum)');
    assert.equal(code, 1, err);
    assert.match(err, /^kennel: Cannot use this database: "001_registry\.sql" was edited .*\n$/);
  });

  it('reports in one line that an older version installed the database', async () => {
    const { main } = fixture.names;
    await fixture.run(
      main,
      `create table public.kept as select * from control.migrations order by version desc limit 1;
       delete from control.migrations where version = (select version from public.kept)`,
    );
    const { code, err } = await runCommand('doctor', [], { DATABASE_URL: fixture.url });
    await fixture.run(
      main,
      'insert into control.migrations select * from public.kept; drop table public.kept',
    );
    assert.equal(code, 1, err);
    assert.match(
      err,
      /^kennel: Cannot use the database .*: an older version installed it; run npm start.*\n$/,
    );
  });
});
