import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, findsNothingIn, type Spoilt } from '../spoilt.ts';

const database = (setting: string, value: string): Spoilt & Required<Pick<Spoilt, 'fix'>> => ({
  spoil: ({ main }) => `alter database ${main} set ${setting} = '${value}'`,
  where: ({ main }) => `setting ${setting} of database ${main}`,
  fix: ({ main }: Names) => `alter database ${main} reset ${setting}`,
});

findsNothingIn('logged statements', {
  'a database that logs changes, of which seals are no part': database('log_statement', 'mod'),
  'a database that logs slow statements': database('log_min_duration_statement', '250'),
  'a database that logs no duration': database('log_min_duration_statement', '-1'),
  'a database that samples no transaction': database('log_transaction_sample_rate', '0'),
});

findsEach('logged statements', {
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
    'a database whose fast statements are slow enough': database(
      'log_min_duration_statement',
      '99',
    ),
    'a database that samples some transactions': database('log_transaction_sample_rate', '0.01'),
    'a login that logs queries from 0 ms on': {
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
