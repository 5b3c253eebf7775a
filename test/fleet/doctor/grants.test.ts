import type { Names } from '../../support/ward.ts';
import { findsEach, type Spoilt } from './spoilt.ts';

/** A right on a table of the main database. */
function given(
  right: string,
  table: (names: Names) => string,
  to: (names: Names) => string,
): Spoilt {
  return {
    spoil: (names) => `grant ${right} on ${table(names)} to ${to(names)}`,
    where: (names) => `table ${table(names)} of database ${names.main}`,
  };
}

const app = (names: Names) => names.app;
const control = (names: Names) => names.control;
const account = (names: Names) => names.account;
const serve = (names: Names) => names.serve;
const everybody = () => 'public';
const table = (name: string) => () => name;

findsEach({
  grant_excessive: {
    'truncate for the app': given('truncate', table('shared.pets'), app),
    'references for the app': given('references', table('shared.visits'), app),
    "triggers for the app in a tenant's schema": given(
      'trigger',
      ({ schema }) => `${schema}.pets`,
      app,
    ),
    'deletion for the app': given('delete', table('shared.pets'), app),
    'a whole table for the app, which is enough to lock it': given(
      'update',
      table('shared.pets'),
      app,
    ),
    'a whole table for the account': given('insert', table('control.settings'), account),
    'the ledger for the app': given('update', table('shared.migrations'), app),
    'tables for the login itself': given('select', table('shared.pets'), serve),
    "a tenant's tables for another's login": given(
      'select',
      table('shared.pets'),
      ({ own }) => own,
    ),
    'tables for everybody': given('select', table('shared.pets'), everybody),
    'a registry for everybody': given('select', table('control.plans'), everybody),
    'the registry for the account': given('select', table('control.tenants'), account),
    "a key's digest for the account": given(
      'select (secret_sha256)',
      table('control.api_keys'),
      account,
    ),
    'the trail for its eraser': given('delete', table('control.audit_events'), control),
    'the trail for its editor': given('update (details)', table('control.audit_events'), account),
    'the trail for a stranger': given(
      'truncate',
      table('control.audit_events'),
      () => 'pg_monitor',
    ),
    'secrets for the operator': given('select', table('control.secrets'), control),
    'secrets for a stranger': given('select', table('control.secrets'), () => 'pg_monitor'),
    'seal keys for the app': given('select', table('kernel.seal_keys'), app),
    "truncate for a tenant's own login": {
      in: ({ own }) => own,
      spoil: ({ own }) => `grant truncate on tenant.pets to ${own}`,
      where: ({ own }) => `table tenant.pets of database ${own}`,
    },
    'a sequence': {
      spoil: (names) => `grant update on sequence control.audit_events_seq_seq to ${names.app}`,
      where: ({ main }) => `sequence control.audit_events_seq_seq of database ${main}`,
    },
  },
  view_without_invoker: {
    'a schema of ours': {
      spoil: (names) =>
        `create view shared.all_pets as select * from shared.pets;
         grant select on shared.all_pets to ${names.app}`,
      where: ({ main }) => `view shared.all_pets of database ${main}`,
      sweep: () => 'drop view shared.all_pets',
    },
    "a schema in a tenant's database that everybody may look into": {
      in: ({ own }) => own,
      spoil: () => `create schema spare; grant usage on schema spare to public;
        create view spare.all_pets as select * from tenant.pets`,
      where: ({ own }) => `view spare.all_pets of database ${own}`,
      sweep: () => 'drop schema spare cascade',
    },
  },
  materialized_view: {
    'a schema of ours': {
      spoil: () => 'create materialized view shared.copied_pets as select * from shared.pets',
      where: ({ main }) => `materialized view shared.copied_pets of database ${main}`,
    },
  },
  foreign_table: {
    'a schema of ours': {
      spoil:
        () => `create foreign data wrapper spare; create server spare foreign data wrapper spare;
        create foreign table shared.distant_pets (id uuid) server spare`,
      where: ({ main }) => `foreign table shared.distant_pets of database ${main}`,
      sweep: () => 'drop foreign data wrapper spare cascade',
    },
  },
});
