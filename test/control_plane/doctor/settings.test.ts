import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gravityOf } from '../../../src/control_plane/doctor/settings.ts';
import { findsEach } from './spoilt.ts';

describe('gravityOf()', () => {
  for (const [name, gravity] of [
    ['track_activities', null],
    ['TimeZone', null],
    ['row_security', 'setting_unsafe'],
    ['session_authorization', 'setting_unsafe'],
    ['local_preload_libraries', 'setting_unsafe'],
    ['kennel.tenant', 'setting_unknown'],
  ] as const) {
    it(`says ${gravity} of ${name}`, () => assert.equal(gravityOf(name), gravity));
  }
});

findsEach({
  setting_unsafe: {
    'a login without triggers': {
      spoil: ({ serve }) => `alter role ${serve} set session_replication_role = replica`,
      where: ({ serve }) => `setting session_replication_role of role ${serve}`,
    },
    'a database whose names mean something else': {
      spoil: ({ main }) => `alter database ${main} set search_path = public, shared`,
      where: ({ main }) => `setting search_path of database ${main}`,
    },
    "a tenant's login that is somebody else in its database": {
      spoil: ({ own }) => `alter role ${own} in database ${own} set role = 'postgres'`,
      where: ({ own }) => `setting role of role ${own} in database ${own}`,
    },
    'a library for the operator': {
      spoil: ({ control }) =>
        `alter role ${control} set session_preload_libraries = 'auto_explain'`,
      where: ({ control }) => `setting session_preload_libraries of role ${control}`,
    },
  },
  setting_unknown: {
    'a context that a login begins with': {
      spoil: ({ serve }) => `alter role ${serve} set kennel.tenant = 'x'`,
      where: ({ serve }) => `setting kennel.tenant of role ${serve}`,
    },
  },
  parameter_granted: {
    'a login that may switch triggers off': {
      spoil: ({ serve }) => `grant set on parameter session_replication_role to ${serve}`,
      where: () => 'parameter session_replication_role',
    },
  },
});
