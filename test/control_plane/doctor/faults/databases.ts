import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, type Spoilt } from '../spoilt.ts';

const main = (names: Names) => names.main;
const own = (names: Names) => names.own;
const template = (names: Names) => names.template;

function open(
  right: string,
  database: (names: Names) => string,
  to: (names: Names) => string,
): Spoilt {
  return {
    spoil: (names) => `grant ${right} on database ${database(names)} to ${to(names)}`,
    where: (names) => `database ${database(names)}`,
  };
}

function writable(schema: (names: Names) => string, to: (names: Names) => string): Spoilt {
  return {
    spoil: (names) => `grant create on schema ${schema(names)} to ${to(names)}`,
    where: (names) => `schema ${schema(names)} of database ${names.main}`,
  };
}

const everybody = () => 'public';

findsEach('databases', {
  database_open: {
    'a main database that everybody enters': open('connect', main, everybody),
    "a tenant's database that everybody enters": open('connect', own, everybody),
    "a tenant's database that the common login enters": open('connect', own, ({ serve }) => serve),
    "a main database that a tenant's login enters": open('connect', main, own),
  },
  database_temporary: {
    'a main database where everybody has temporary tables': open('temporary', main, everybody),
    "a tenant's database where its login has them": open('temporary', own, own),
  },
  database_writable: {
    'a main database where a login may make schemas': open('create', main, ({ serve }) => serve),
    "a tenant's database where its login may": open('create', own, own),
    "a tenant's database where migrations may": open('create', own, ({ migrate }) => migrate),
  },
  foreign_database_open: {
    'a database beside ours': {
      spoil: (names) => `create database ${names.main}_spare`,
      where: (names) => `database ${names.main}_spare`,
      sweep: (names) => `drop database ${names.main}_spare`,
    },
  },
  template_open: {
    "the template of tenants' databases for everybody": open('connect', template, everybody),
  },
  schema_writable: {
    'public for everybody': writable(() => 'public', everybody),
    'public for the app': writable(
      () => 'public',
      ({ app }) => app,
    ),
  },
  table_in_public: {
    "a tenants' table": {
      spoil: () => 'create table public.pets (id uuid)',
      where: (names) => `table public.pets of database ${names.main}`,
      sweep: () => 'drop schema stray cascade',
    },
  },
});
