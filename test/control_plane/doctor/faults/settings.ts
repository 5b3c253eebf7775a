import { findsEach, findsNothingIn } from '../spoilt.ts';

findsNothingIn('settings', {
  'a login with a time zone, which its sessions do not have': {
    spoil: ({ serve }) => `alter role ${serve} set "TimeZone" = 'Asia/Kathmandu'`,
    fix: ({ serve }) => `alter role ${serve} reset "TimeZone"`,
  },
  'a login with more memory': {
    spoil: ({ serve }) => `alter role ${serve} set work_mem = '8MB'`,
    fix: ({ serve }) => `alter role ${serve} reset work_mem`,
  },
});

findsEach('settings', {
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
    'a library that every session of the operator may choose': {
      spoil: ({ control }) =>
        `alter role ${control} set local_preload_libraries = '$libdir/plugins/x'`,
      where: ({ control }) => `setting local_preload_libraries of role ${control}`,
    },
    'a database without row security': {
      spoil: ({ main }) => `alter database ${main} set row_security = off`,
      where: ({ main }) => `setting row_security of database ${main}`,
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
    'a setting that no table of ours has': {
      spoil: ({ main }) => `alter database ${main} set travel.enabled = 'x'`,
      where: ({ main }) => `setting travel.enabled of database ${main}`,
    },
  },
  parameter_granted: {
    'a login that may switch triggers off': {
      spoil: ({ serve }) => `grant set on parameter session_replication_role to ${serve}`,
      where: () => 'parameter session_replication_role',
    },
  },
});
