import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, findsNothingIn, type Spoilt } from '../spoilt.ts';

const copied: Pick<Spoilt, 'where' | 'sweep'> = {
  where: ({ main }) => `table stray.x of database ${main}`,
  sweep: () => 'drop schema stray cascade',
};

const hostile = '"x\n0 errors\\u001b[2J\u001b[2J\u{e0001}"';

findsEach('grants outside our schemas', {
  default_grant_extra: {
    'tables for everybody': {
      references: 'new',
      spoil: ({ owner }) =>
        `alter default privileges for role ${owner} grant select on tables to public`,
      where: ({ main }) => `default rights on tables for public of database ${main}`,
    },
    "sequences of a tenant's database for its login": {
      references: 'new',
      in: ({ own }) => own,
      spoil: ({ owner, own }) => `alter default privileges for role ${owner} in schema tenant
        grant usage on sequences to ${own}`,
      where: ({ own }) =>
        `default rights on sequences in schema tenant for ${own} of database ${own}`,
    },
  },
  grant_stray: {
    'a copy of the secrets that everybody may read': {
      ...copied,
      spoil: () => `create schema stray; create table stray.x as select * from control.secrets;
        grant usage on schema stray to public; grant select on stray.x to public`,
    },
    'a column of a copy that the app may read': {
      ...copied,
      spoil: ({ app }) => `create schema stray;
        create table stray.x as select * from control.secrets;
        grant select (value) on stray.x to ${app}`,
    },
    'a table whose name has line ends and controls the terminal': {
      spoil: ({ app }) => `create schema stray; create table stray.${hostile} ();
        grant select on stray.${hostile} to ${app}`,
      where: ({ main }) => `table stray.${hostile} of database ${main}`,
      sweep: () => 'drop schema stray cascade',
    },
    "a table of a tenant's database that its login may read": {
      in: ({ own }) => own,
      spoil: ({ own }) => `create schema stray; create table stray.x ();
        grant select on stray.x to ${own}`,
      where: ({ own }) => `table stray.x of database ${own}`,
      sweep: () => 'drop schema stray cascade',
    },
    'statistics that the app may read': {
      spoil: ({ app }) => `grant select on pg_statistic to ${app}`,
      where: ({ main }) => `table pg_catalog.pg_statistic of database ${main}`,
    },
    'passwords that everybody may read': {
      spoil: () => 'grant select (rolpassword) on pg_authid to public',
      where: ({ main }) => `table pg_catalog.pg_authid of database ${main}`,
    },
    'files that the app may read': {
      spoil: ({ app }) => `grant execute on function pg_read_binary_file(text) to ${app}`,
      where: ({ main }) => `function pg_read_binary_file(text) of database ${main}`,
    },
    'files that everybody may read': {
      spoil: () => 'grant execute on function pg_read_file(text) to public',
      where: ({ main }) => `function pg_read_file(text) of database ${main}`,
    },
  },
});

/** Drops a column and leaves its grant, as Postgres 15 does. */
const dropped = (table: string, { app, owner }: Names) =>
  `alter table ${table} add column gone text; alter table ${table} drop column gone;
   update pg_attribute set attacl = '{${app}=r/${owner}}'
   where attrelid = '${table}'::regclass and attisdropped`;

findsNothingIn('grants', {
  'the grant that a dropped column of ours kept': {
    spoil: (names) => dropped('shared.pets', names),
    fix: () => `update pg_attribute set attacl = null
      where attrelid = 'shared.pets'::regclass and attisdropped`,
  },
  'the grant that a dropped column of a stray table kept': {
    spoil: (names) => `create schema stray; create table stray.x ();
      ${dropped('stray.x', names)}`,
    fix: () => 'drop schema stray cascade',
  },
  'the schema of a tenant that is being made': {
    spoil: () => "update control.tenants set status = 'provisioning'",
    fix: () => "update control.tenants set status = 'active'",
  },
});
