import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logsSeals, openHoles } from '../../../src/fleet/doctor/server.ts';
import { findsEach } from './spoilt.ts';

describe('openHoles()', () => {
  for (const [version, holes] of [
    [
      150_002,
      ['CVE-2023-2455', 'CVE-2023-39418', 'CVE-2024-10976', 'CVE-2024-10978', 'CVE-2025-8713'],
    ],
    [150_013, ['CVE-2025-8713']],
    [160_004, ['CVE-2024-10976', 'CVE-2024-10978', 'CVE-2025-8713']],
    [160_010, []],
    [170_005, ['CVE-2025-8713']],
    [170_006, []],
    [180_000, []],
    [190_000, []],
  ] as const) {
    it(`knows ${holes.length} in ${version}`, () => {
      assert.deepEqual(openHoles(version), holes);
    });
  }
});

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
  activity_shown: {
    'the common login': {
      spoil: ({ serve }) => `alter role ${serve} reset track_activities`,
      where: ({ serve }) => `role ${serve}`,
    },
    "a tenant's login in its database": {
      spoil: ({ own }) => `alter role ${own} in database ${own} set track_activities = on`,
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
  statements_shown: {
    'an extension that everybody may read': {
      spoil: () => `create schema spare; grant usage on schema spare to public;
        create extension pg_stat_statements schema spare`,
      where: ({ main }) => `extension pg_stat_statements of database ${main}`,
      sweep: () => 'drop schema spare cascade',
    },
  },
});
