import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, type Spoilt } from '../spoilt.ts';

/** A right on a table of the main database. */
function given(
  right: string,
  table: (names: Names) => string,
  to: (names: Names) => string,
): Spoilt {
  return {
    spoil: (names) => `grant ${right} on ${table(names)} to ${to(names)}`,
    where: (names) => `rights of ${to(names)} on table ${table(names)} of database ${names.main}`,
  };
}

const app = (names: Names) => names.app;
const control = (names: Names) => names.control;
const account = (names: Names) => names.account;
const serve = (names: Names) => names.serve;
const everybody = () => 'public';
const table = (name: string) => () => name;

findsEach(
  'grants',
  {
    grant_changed: {
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
      "a key's digest for the account": given(
        'select (secret_sha256)',
        table('control.api_keys'),
        account,
      ),
      'a right that may be given on': {
        ...given('select', table('shared.pets'), app),
        spoil: (names) => `grant select on shared.pets to ${names.app} with grant option`,
      },
      'a right that was given on': {
        ...given('select', table('shared.pets'), app),
        spoil: (names) => `grant select on shared.pets to ${names.app} with grant option;
          set role ${names.app}; grant select on shared.pets to public; reset role`,
        among: true,
      },
      'the trail for its eraser': given('delete', table('control.audit_events'), control),
      'the trail for its editor': given('update (details)', table('control.audit_events'), account),
      "truncate for a tenant's own login": {
        in: ({ own }) => own,
        spoil: ({ own }) => `grant truncate on tenant.pets to ${own}`,
        where: ({ own }) => `rights of ${own} on table tenant.pets of database ${own}`,
      },
      'an owner that may not add': {
        spoil: ({ owner }) => `revoke insert on control.plans from ${owner}`,
        where: ({ owner, main }) => `rights of ${owner} on table control.plans of database ${main}`,
      },
      'a schema to add to': {
        spoil: ({ app }) => `grant create on schema shared to ${app}`,
        where: ({ app, main }) => `rights of ${app} on schema shared of database ${main}`,
      },
      "a registry's schema to add to": {
        spoil: ({ control }) => `grant create on schema control to ${control}`,
        where: ({ control, main }) => `rights of ${control} on schema control of database ${main}`,
      },
    },
    grant_extra: {
      'the ledger for the app': given('update', table('shared.migrations'), app),
      'tables for the login itself': given('select', table('shared.pets'), serve),
      "a tenant's tables for another's login": given(
        'select',
        table('shared.pets'),
        ({ own }) => own,
      ),
      'tables for everybody': given('select', table('shared.pets'), everybody),
      'a column for everybody': given('select (name)', table('shared.pets'), everybody),
      'a registry for everybody': given('select', table('control.plans'), everybody),
      'the registry for the account': given('select', table('control.tenants'), account),
      'the trail for a stranger': given(
        'truncate',
        table('control.audit_events'),
        () => 'pg_monitor',
      ),
      'secrets for the operator': given('select', table('control.secrets'), control),
      'secrets for a stranger': given('select', table('control.secrets'), () => 'pg_monitor'),
      'seal keys for the app': given('select', table('kernel.seal_keys'), app),
      'a sequence': {
        spoil: (names) => `grant update on sequence control.audit_events_seq to ${names.app}`,
        where: ({ app, main }) =>
          `rights of ${app} on sequence control.audit_events_seq of database ${main}`,
      },
      'a function of the trail': {
        spoil: ({ app }) => `grant execute on function control.chain_event() to ${app}`,
        where: ({ app, main }) =>
          `rights of ${app} on function control.chain_event() of database ${main}`,
      },
      "a tenant's schema for the common login": {
        spoil: ({ schema, serve }) => `grant usage, create on schema ${schema} to ${serve}`,
        where: ({ schema, serve, main }) =>
          `rights of ${serve} on schema ${schema} of database ${main}`,
      },
    },
    stranger_grant_extra: {
      'tables for a stranger': given('select', table('shared.pets'), () => 'pg_monitor'),
    },
    grant_missing: {
      'a table that the app may not use': {
        spoil: ({ app }) => `revoke all on shared.visits from ${app}`,
        where: ({ app, main }) => `rights of ${app} on table shared.visits of database ${main}`,
      },
      'a seal check without the right to call it': {
        spoil: ({ app }) => `revoke execute on function kernel.tenant() from ${app}`,
        where: ({ app, main }) =>
          `rights of ${app} on function kernel.tenant() of database ${main}`,
      },
      "one of a tenant's database that the tenant may not call": {
        in: ({ own }) => own,
        spoil: ({ own }) => `revoke execute on function kernel.no_context() from ${own}`,
        where: ({ own }) => `rights of ${own} on function kernel.no_context() of database ${own}`,
      },
      "one of a tenant's database whose schema the tenant may not use": {
        in: ({ own }) => own,
        spoil: ({ own }) => `revoke usage on schema kernel from ${own}`,
        where: ({ own }) => `rights of ${own} on schema kernel of database ${own}`,
      },
    },
    view_extra: {
      'a schema of ours': {
        spoil: (names) =>
          `create view shared.all_pets as select * from shared.pets;
         grant select on shared.all_pets to ${names.app}`,
        where: ({ main }) => `view shared.all_pets of database ${main}`,
        among: true,
        fix: () => 'drop view shared.all_pets',
      },
    },
    view_without_invoker: {
      "a schema in a tenant's database that everybody may look into": {
        in: ({ own }) => own,
        spoil: () => `create schema spare; grant usage on schema spare to public;
        create view spare.all_pets as select * from tenant.pets`,
        where: ({ own }) => `view spare.all_pets of database ${own}`,
        sweep: () => 'drop schema spare cascade',
      },
    },
    materialized_view_extra: {
      'a schema of ours': {
        spoil: () => 'create materialized view shared.copied_pets as select * from shared.pets',
        where: ({ main }) => `materialized view shared.copied_pets of database ${main}`,
        among: true,
        fix: () => 'drop materialized view shared.copied_pets',
      },
    },
    materialized_view: {
      'a schema that everybody may look into': {
        spoil: () => `create schema spare; grant usage on schema spare to public;
        create materialized view spare.copied_pets as select * from shared.pets`,
        where: ({ main }) => `materialized view spare.copied_pets of database ${main}`,
        sweep: () => 'drop schema spare cascade',
      },
    },
    foreign_table: {
      'a schema that everybody may look into': {
        spoil: () => `create schema spare; grant usage on schema spare to public;
        create foreign data wrapper spare; create server spare foreign data wrapper spare;
        create foreign table spare.distant_pets (id uuid) server spare`,
        where: ({ main }) => `foreign table spare.distant_pets of database ${main}`,
        sweep: () => 'drop schema spare cascade; drop foreign data wrapper spare cascade',
      },
    },
  },
  'there',
);
