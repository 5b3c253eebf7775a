import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logsSeals } from '../../../src/control_plane/doctor/statements.ts';
import { findsEach } from './spoilt.ts';

describe('logsSeals()', () => {
  for (const [name, value, logs] of [
    ['log_statement', 'all', true],
    ['log_statement', 'mod', false],
    ['log_min_duration_statement', '0', true],
    ['log_min_duration_statement', '99', true],
    ['log_min_duration_statement', '250', false],
    ['log_min_duration_statement', '-1', false],
    ['log_transaction_sample_rate', '0.01', true],
    ['log_transaction_sample_rate', '0', false],
  ] as const) {
    it(`says ${logs} of ${name} = ${value}`, () => assert.equal(logsSeals(name, value), logs));
  }
});

findsEach({
  activity_visible: {
    'the common login': {
      spoil: ({ serve }) => `alter role ${serve} reset track_activities`,
      where: ({ serve }) => `role ${serve}`,
    },
    "a tenant's login in its database": {
      spoil: ({ own }) => `alter role ${own} in database ${own} set track_activities = on`,
      where: ({ own }) => `role ${own}`,
    },
  },
  errors_logged: {
    'the common login': {
      spoil: ({ serve }) => `alter role ${serve} set log_min_messages = warning`,
      where: ({ serve }) => `role ${serve}`,
    },
    "a tenant's login in its database": {
      spoil: ({ own }) => `alter role ${own} in database ${own} set log_min_messages = error`,
      where: ({ own }) => `role ${own}`,
    },
  },
  statements_logged: {
    'a database that logs all statements': {
      spoil: ({ main }) => `alter database ${main} set log_statement = 'all'`,
      where: ({ main }) => `setting log_statement of database ${main}`,
    },
    'a login whose every statement is slow enough': {
      spoil: ({ serve }) => `alter role ${serve} set log_min_duration_statement = 0`,
      where: ({ serve }) => `setting log_min_duration_statement of role ${serve}`,
    },
    "a tenant's login in its database": {
      spoil: ({ own }) => `alter role ${own} in database ${own} set log_statement = 'all'`,
      where: ({ own }) => `setting log_statement of role ${own} in database ${own}`,
    },
  },
  statements_visible: {
    'an extension that everybody may read': {
      spoil: () => `create schema spare; grant usage on schema spare to public;
        create extension pg_stat_statements schema spare`,
      where: ({ main }) => `extension pg_stat_statements of database ${main}`,
      sweep: () => 'drop schema spare cascade',
    },
  },
});
