/** Faults that interrupted moves leave. */
import { findsEach, type Spoilt } from '../spoilt.ts';

const capture = `move_${'0'.repeat(32)}`;

function leftBehind(database: Spoilt['where'], table: string): Spoilt {
  return {
    in: database,
    spoil: ({ owner }) => `
      create schema ${capture} authorization ${owner};
      set role ${owner};
      create function ${capture}.pets() returns trigger language plpgsql security definer
        as 'begin return null; end';
      revoke execute on function ${capture}.pets() from public;
      create trigger ${capture} after insert on ${table} for each row
        execute function ${capture}.pets();
      reset role`,
    where: (names) => `schema ${capture} of database ${database(names)}`,
  };
}

function archiveLeftBehind(database: Spoilt['where']): Spoilt {
  const archive = `t_${'0'.repeat(32)}_archive`;
  return {
    in: database,
    spoil: ({ owner }) => `create schema ${archive} authorization ${owner}`,
    where: (names) => `schema ${archive} of database ${database(names)}`,
  };
}

findsEach('moves', {
  move_left_behind: {
    'shared tables that record changes': leftBehind(({ main }) => main, 'shared.pets'),
    "a tenant's own database that records changes": leftBehind(({ own }) => own, 'tenant.pets'),
  },
  archive_left_behind: {
    'shared tables with an archive beside them': archiveLeftBehind(({ main }) => main),
    "a tenant's own database with an archive": archiveLeftBehind(({ own }) => own),
  },
  move_interrupted: {
    'a move without a process': {
      spoil: () => `
        insert into control.moves (tenant_id, origin, destination, generation, state)
        select id, isolation, 'schema', 1, 'copying' from control.tenants where slug = 'shared-zoo'`,
      where: () => 'tenant shared-zoo',
      fix: () => 'delete from control.moves',
    },
    'a restore without a process': {
      spoil: () => `
        insert into control.moves (tenant_id, kind, origin, destination, generation, state)
        select id, 'restore', isolation, isolation, 1, 'copying'
        from control.tenants where slug = 'database-zoo'`,
      where: () => 'tenant database-zoo',
      fix: () => 'delete from control.moves',
    },
  },
});
