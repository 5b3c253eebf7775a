import { newestVersion } from '../../../support/tenant_files.ts';
import { findsEach, type Spoilt } from '../spoilt.ts';

function version(mode: string, number: number): Spoilt {
  return {
    spoil: () => `update control.tenants
      set schema_version = ${number}, required_version = ${number} where slug = '${mode}-zoo'`,
    where: () => `tenant ${mode}-zoo`,
    fix: () => `update control.tenants
      set schema_version = ${newestVersion}, required_version = 0 where slug = '${mode}-zoo'`,
  };
}

function missing(schema: Spoilt['where'], database: Spoilt['where']): Spoilt {
  return {
    among: true,
    in: database,
    spoil: (names) => `alter table ${schema(names)}.visits rename to gone`,
    where: (names) => `table ${schema(names)}.visits of database ${database(names)}`,
    fix: (names) => `alter table ${schema(names)}.gone rename to visits`,
  };
}

findsEach('versions and placements', {
  tenant_version_outside: {
    'a tenant of shared mode ahead of the code': version('shared', 99),
    'a tenant of schema mode that has no version': version('schema', 0),
    'a tenant of database mode ahead of the code': version('database', newestVersion + 1),
  },
  table_missing: {
    'a shared place that lacks a table': missing(
      () => 'shared',
      ({ main }) => main,
    ),
    'a schema that lacks a table': missing(
      ({ schema }) => schema,
      ({ main }) => main,
    ),
    'a database that lacks a table': missing(
      () => 'tenant',
      ({ own }) => own,
    ),
  },
  tenant_place_missing: {
    'a schema that is gone': {
      among: true,
      spoil: ({ schema }) => `alter schema ${schema} rename to gone`,
      where: () => 'tenant schema-zoo',
      fix: ({ schema }) => `alter schema gone rename to ${schema}`,
    },
    'a database that is gone': {
      spoil: ({ own }) => `alter role ${own} rename to ${own}_gone`,
      where: () => 'tenant database-zoo',
      fix: ({ own }) => `alter role ${own}_gone rename to ${own}`,
    },
  },
  database_unreachable: {
    'a database closed to sessions': {
      spoil: ({ own }) => `alter database ${own} allow_connections false;
        select pg_terminate_backend(pid) from pg_stat_activity where datname = '${own}'`,
      where: ({ own }) => `database ${own} of tenant database-zoo`,
      fix: ({ own }) => `alter database ${own} allow_connections true`,
    },
  },
  seal_key_foreign: {
    'a second key of somebody else': {
      spoil: () =>
        `insert into kernel.seal_keys
         select 2, sha512(inner_pad), sha512(outer_pad) from kernel.seal_keys`,
      where: ({ main }) => `seal keys of database ${main}`,
    },
  },
  seal_key_missing: {
    'all keys deleted': {
      spoil: () => `create schema stray; create table stray.kept as select * from kernel.seal_keys;
        delete from kernel.seal_keys`,
      where: ({ main }) => `seal keys of database ${main}`,
      fix: () => 'insert into kernel.seal_keys select * from stray.kept',
      sweep: () => 'drop schema stray cascade',
    },
  },
  seal_rotation_open: {
    'a second key': {
      spoil: () =>
        `insert into kernel.seal_keys select 2, inner_pad, outer_pad from kernel.seal_keys`,
      where: ({ main }) => `seal keys of database ${main}`,
      fix: () => 'delete from kernel.seal_keys where slot = 2',
    },
  },
});
