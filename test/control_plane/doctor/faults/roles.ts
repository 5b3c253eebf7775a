import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, type Spoilt } from '../spoilt.ts';

const inOwn = ({ own }: Names) => own;

function overprivileged(role: (names: Names) => string, power: string): Spoilt {
  return {
    spoil: (names) => `alter role ${role(names)} ${power}`,
    where: (names) => `role ${role(names)}`,
  };
}

function member(role: (names: Names) => string, of: (names: Names) => string): Spoilt {
  return {
    spoil: (names) => `grant ${of(names)} to ${role(names)}`,
    where: (names) => `role ${role(names)}`,
  };
}

function owned(make: string, what: string): Spoilt {
  return {
    spoil: ({ app }) => `create ${make}; alter ${what} owner to ${app}`,
    where: ({ main }) => `${what} of database ${main}`,
    sweep: () => (what.startsWith('large') ? 'select lo_unlink(424242)' : `drop ${what}`),
  };
}

function unlimited(login: (names: Names) => string, limit: number): Spoilt {
  return {
    spoil: (names) => `alter role ${login(names)} connection limit ${limit}`,
    where: (names) => `role ${login(names)}`,
  };
}

/** What takes a tenant's own login away. */
function lacking(spoil: Spoilt['spoil']): Spoilt {
  return { spoil, where: ({ own }) => `role ${own}` };
}

findsEach('roles', {
  connections_unlimited: {
    'the login of all tenants': unlimited(({ serve }) => serve, -1),
    'the login of the operator, which has all but a few': unlimited(({ control }) => control, 190),
    "a tenant's own login": unlimited(inOwn, -1),
  },
  role_overprivileged: {
    'a superuser that serves': overprivileged(({ serve }) => serve, 'superuser'),
    'bypassrls of the login': overprivileged(({ serve }) => serve, 'bypassrls'),
    'createdb of the operator': overprivileged(({ control }) => control, 'createdb'),
    'createrole of the app': overprivileged(({ app }) => app, 'createrole'),
    'replication of the account': overprivileged(({ account }) => account, 'replication'),
    'bypassrls of the owner': overprivileged(({ owner }) => owner, 'bypassrls'),
    "bypassrls of a tenant's own login": overprivileged(({ own }) => own, 'bypassrls'),
  },
  login_unusable: {
    "a tenant's own login that may not log in": lacking(({ own }) => `alter role ${own} nologin`),
    'one whose password has expired': lacking(
      ({ own }) => `alter role ${own} valid until '2020-01-01'`,
    ),
    'one that may not connect to its database': lacking(
      ({ own }) => `revoke connect on database ${own} from ${own}`,
    ),
  },
  membership_missing: {
    'a login that cannot become the role of its tenants': {
      spoil: ({ serve, app }) => `revoke ${app} from ${serve}`,
      where: ({ serve }) => `role ${serve}`,
    },
    'one that may not set the role': {
      spoil: ({ serve, app }) => `revoke set option for ${app} from ${serve}`,
      where: ({ serve }) => `role ${serve}`,
    },
  },
  role_member: {
    'a login that may become the owner': member(
      ({ serve }) => serve,
      ({ owner }) => owner,
    ),
    'a login of migrations that may become more than the owner': member(
      ({ migrate }) => migrate,
      ({ serve }) => serve,
    ),
    'a login of migrations that has the rights of the owner at once': {
      spoil: ({ migrate, owner }) => `grant ${owner} to ${migrate} with inherit true`,
      where: ({ migrate }) => `role ${migrate}`,
    },
    'a role that reads everything': member(
      ({ app }) => app,
      () => 'pg_read_all_data',
    ),
    'a role that writes everything': member(
      ({ account }) => account,
      () => 'pg_write_all_data',
    ),
    'a role that ends sessions': member(
      ({ control }) => control,
      () => 'pg_signal_backend',
    ),
    'a role that runs programs': member(
      ({ own }) => own,
      () => 'pg_execute_server_program',
    ),
    'a login that has the rights of the app at once': {
      spoil: ({ serve, app }) => `grant ${app} to ${serve} with inherit true`,
      where: ({ serve }) => `role ${serve}`,
    },
    'a login that may give the app on': {
      spoil: ({ serve, app }) => `grant ${app} to ${serve} with admin option`,
      where: ({ serve }) => `role ${serve}`,
    },
    'an owner that reads everything': member(
      ({ owner }) => owner,
      () => 'pg_read_all_data',
    ),
    "a tenant's own login that may become the app": member(
      ({ own }) => own,
      ({ app }) => app,
    ),
  },
  role_lent: {
    'a stranger who may become the app': {
      spoil: ({ main, app }) => `create role ${main}_stranger; grant ${app} to ${main}_stranger`,
      where: ({ app }) => `role ${app}`,
      sweep: ({ main }) => `drop role ${main}_stranger`,
    },
    'a stranger who may become the owner': {
      spoil: ({ main, owner }) =>
        `create role ${main}_stranger; grant ${owner} to ${main}_stranger`,
      where: ({ owner }) => `role ${owner}`,
      sweep: ({ main }) => `drop role ${main}_stranger`,
    },
    "a stranger who may become a tenant's own login": {
      spoil: ({ main, own }) => `create role ${main}_stranger; grant ${own} to ${main}_stranger`,
      where: ({ own }) => `role ${own}`,
      sweep: ({ main }) => `drop role ${main}_stranger`,
    },
  },
  role_owns: {
    'a table': owned('table public.spare ()', 'table public.spare'),
    'a schema': owned('schema spare', 'schema spare'),
    'a function': owned(
      'function public.spare() returns int language sql return 1',
      'function public.spare()',
    ),
    'a large object': {
      ...owned('', 'large object 424242'),
      spoil: ({ app }) => `select lo_create(424242); alter large object 424242 owner to ${app}`,
    },
    'a view': {
      ...owned('view public.spare as select 1', 'view public.spare'),
    },
    'extended statistics': {
      spoil: ({ app }) => `create schema stray; create table stray.spare (a int, b int);
        create statistics stray.pairs on a, b from stray.spare;
        alter statistics stray.pairs owner to ${app}`,
      where: ({ main }) => `statistics object stray.pairs of database ${main}`,
      sweep: () => 'drop schema stray cascade',
    },
    "a table of a tenant's own database": {
      in: inOwn,
      spoil: ({ own }) => `create schema stray; create table stray.spare ();
        alter table stray.spare owner to ${own}`,
      where: ({ own }) => `table stray.spare of database ${own}`,
      sweep: () => 'drop schema stray cascade',
    },
    'a database': {
      spoil: ({ own }) => `alter database ${own} owner to ${own}`,
      where: ({ own }) => `database ${own}`,
    },
  },
  role_may_log_in: {
    'the app': overprivileged(({ app }) => app, 'login'),
    'the account': overprivileged(({ account }) => account, 'login'),
    'the owner': overprivileged(({ owner }) => owner, 'login'),
  },
});
