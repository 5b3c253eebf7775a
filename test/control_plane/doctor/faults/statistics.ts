import { findsEach } from '../spoilt.ts';

findsEach('statistics', {
  column_changed: {
    "a column of a tenant's own table": {
      spoil: ({ schema }) => `alter table ${schema}.pets alter name set statistics -1`,
      where: ({ main, schema }) => `column name of table ${schema}.pets of database ${main}`,
    },
  },
  index_changed: {
    'an index of the registry': {
      spoil: () => 'alter index control.users_by_email alter column 2 set statistics 10',
      where: ({ main }) => `index users_by_email of table control.users of database ${main}`,
    },
  },
  statistics_extra: {
    "two columns of a tenant's own database": {
      in: ({ own }) => own,
      spoil: () => 'create statistics tenant.pairs on name, species from tenant.pets',
      where: ({ own }) => `statistics tenant.pairs of database ${own}`,
    },
  },
  statistics_kept: {
    'statistics from before they were turned off': {
      spoil: () => `alter table shared.pets alter name set statistics -1; analyze shared.pets;
        alter table shared.pets alter name set statistics 0`,
      where: ({ main }) => `table shared.pets of database ${main}`,
    },
  },
});
