import { findsEach } from './spoilt.ts';

findsEach({
  statistics_kept: {
    'a column of a shared table': {
      spoil: () => 'alter table shared.pets alter name set statistics 10',
      where: ({ main }) => `table shared.pets of database ${main}`,
    },
    "a column of a tenant's own table, and its values": {
      spoil: ({ schema }) =>
        `alter table ${schema}.pets alter name set statistics -1; analyze ${schema}.pets`,
      where: ({ main, schema }) => `table ${schema}.pets of database ${main}`,
    },
    'an index of the registry': {
      spoil: () => 'alter index control.users_by_email alter column 2 set statistics 10',
      where: ({ main }) => `table control.users of database ${main}`,
    },
    "two columns of a tenant's own database": {
      in: ({ own }) => own,
      spoil: () => 'create statistics tenant.pairs on name, species from tenant.pets',
      where: ({ own }) => `table tenant.pets of database ${own}`,
    },
    'values that were kept before there were none to be kept': {
      spoil: () => `alter table shared.pets alter name set statistics -1; analyze shared.pets;
        alter table shared.pets alter name set statistics 0`,
      where: ({ main }) => `table shared.pets of database ${main}`,
    },
  },
});
