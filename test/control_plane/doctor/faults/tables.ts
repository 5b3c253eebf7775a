import type { Names } from '../../../support/doctor_fixture.ts';
import { findsEach, type Spoilt } from '../spoilt.ts';

const places: Readonly<Record<string, { schema: (names: Names) => string; in?: Spoilt['in'] }>> = {
  'the shared place': { schema: () => 'shared' },
  "a tenant's schema": { schema: ({ schema }) => schema },
  "a tenant's database": { schema: () => 'tenant', in: ({ own }) => own },
  'the control schema': { schema: () => 'control' },
};

/** The statement with `%` for the table, in each place. */
function everywhere(statement: string, where = ''): Record<string, Spoilt> {
  const rows = Object.entries(places).map(([name, { schema, in: database }]): [string, Spoilt] => {
    const table = (names: Names) =>
      `${schema(names)}.${name.includes('control') ? 'settings' : 'pets'}`;
    return [
      name,
      {
        ...(database ? { in: database } : {}),
        spoil: (names) => statement.replaceAll('%', table(names)),
        where: (names) =>
          `${where}table ${table(names)} of database ${database?.(names) ?? names.main}`,
      },
    ];
  });
  return Object.fromEntries(rows);
}

const inControl = (table: string, spoil: Spoilt['spoil'], where = ''): Spoilt => ({
  spoil,
  where: ({ main }) => `${where}table control.${table} of database ${main}`,
});

const inShared = (table: string, spoil: string, where = ''): Spoilt => ({
  spoil: () => spoil,
  where: ({ main }) => `${where}table shared.${table} of database ${main}`,
});

findsEach(
  'tables',
  {
    row_security_changed: {
      ...everywhere('alter table % disable row level security', 'row security of '),
      ...Object.fromEntries(
        Object.entries(
          everywhere('alter table % no force row level security', 'row security of '),
        ).map(([name, row]) => [`${name}, not forced`, row]),
      ),
    },
    column_changed: {
      ...everywhere('alter table % alter tenant_id drop default', 'column tenant_id of '),
      "a default that takes another tenant's rows along": {
        ...inShared(
          'pets',
          `create schema stray;
         create function stray.others() returns text language sql security definer
           return (select string_agg(name, ',') from shared.pets);
         alter table shared.pets alter breed set default stray.others()`,
          'column breed of ',
        ),
        sweep: () => 'drop schema stray cascade',
      },
      'a tenant that the writer may choose': inShared(
        'visits',
        'alter table shared.visits alter tenant_id set default gen_random_uuid()',
        'column tenant_id of ',
      ),
      'a column that may be null': inControl(
        'api_keys',
        () => 'alter table control.api_keys alter secret_sha256 drop not null',
        'column secret_sha256 of ',
      ),
      'a type without a length': inShared(
        'pets',
        'alter table shared.pets alter microchip_id type text',
        'column microchip_id of ',
      ),
      'a type that needs a cast': inShared(
        'pets',
        'alter table shared.pets alter birth_date type text',
        'column birth_date of ',
      ),
      'a type whose default needs a cast': inShared(
        'pets',
        `alter table shared.pets alter deleted drop default, alter deleted type text,
           alter deleted set default 'no'`,
        'column deleted of ',
      ),
      'another collation': inShared(
        'pets',
        'alter table shared.pets alter microchip_id type varchar(50) collate "C"',
        'column microchip_id of ',
      ),
      'statistics of values': inShared(
        'pets',
        'alter table shared.pets alter name set statistics 500',
        'column name of ',
      ),
    },
    column_missing: {
      'a column that has to have values': {
        spoil: ({ schema }) => `alter table ${schema}.visits drop column visited_on`,
        where: ({ schema, main }) =>
          `column visited_on of table ${schema}.visits of database ${main}`,
        among: true,
        decided: true,
        fix: ({ schema, app }) => `
          alter table ${schema}.visits add visited_on date not null,
            alter visited_on set statistics 0;
          create index visits_by_pet on ${schema}.visits
            (tenant_id, pet_id, visited_on desc, id desc);
          grant insert (visited_on), update (visited_on) on ${schema}.visits to ${app}`,
      },
      'a column with a default': {
        ...inShared('pets', 'alter table shared.pets drop column deleted', 'column deleted of '),
        among: true,
      },
      'a column that may be null': {
        in: ({ own }) => own,
        spoil: () => 'alter table tenant.pets drop column breed, drop column microchip_id',
        where: ({ own }) => `column microchip_id of table tenant.pets of database ${own}`,
        among: true,
      },
    },
    column_extra: {
      "a generated column that knows others' rows": {
        ...inShared(
          'pets',
          `create schema stray;
         create function stray.others(text) returns text language sql security definer immutable
           return (select string_agg(name, ',') from shared.visits, shared.pets);
         alter table shared.pets add column stolen text
           generated always as (stray.others(name)) stored`,
          'column stolen of ',
        ),
        sweep: () => 'drop schema stray cascade',
      },
    },
    constraint_extra: {
      'a check that looks at other rows': {
        ...inShared(
          'pets',
          `create schema stray;
         create function stray.others(text) returns bool language sql security definer
           return (select count(*) > 0 from shared.visits);
         alter table shared.pets add constraint more check (stray.others(name)) not valid`,
          'constraint more of ',
        ),
        sweep: () => 'drop schema stray cascade',
      },
      'a key over all tenants': inShared(
        'pets',
        'alter table shared.pets add constraint more unique (id)',
        'constraint more of ',
      ),
      'an exclusion between tenants': {
        ...inShared(
          'pets',
          `create schema stray; create extension btree_gist schema stray;
         alter table shared.pets add constraint more
           exclude using gist (tenant_id stray.gist_uuid_ops with <>)`,
          'constraint more of ',
        ),
        sweep: () => 'drop schema stray cascade',
      },
      'a foreign key from a table that is not ours': {
        ...inShared(
          'pets',
          `create schema stray; create table stray.asked (tenant_id uuid, id uuid);
         alter table stray.asked add constraint more
           foreign key (tenant_id, id) references shared.pets`,
        ),
        where: ({ main }) => `constraint more of table stray.asked of database ${main}`,
        sweep: () => 'drop schema stray cascade',
      },
    },
    constraint_missing: {
      'names of any length': inShared(
        'pets',
        'alter table shared.pets drop constraint pets_name_check',
        'constraint pets_name_check of ',
      ),
      'visits of pets that are not there': inShared(
        'visits',
        'alter table shared.visits drop constraint visits_tenant_id_pet_id_fkey',
        'constraint visits_tenant_id_pet_id_fkey of ',
      ),
    },
    constraint_changed: {
      'a check that lets everything pass': inControl(
        'audit_events',
        () => `alter table control.audit_events drop constraint audit_events_audience_check,
        add constraint audit_events_audience_check check (true)`,
        'constraint audit_events_audience_check of ',
      ),
    },
    index_added: {
      ...everywhere('create index more on % (updated_at)', 'index more of '),
      'the copy of a key that is being rebuilt': inShared(
        'pets',
        'create unique index pets_pkey_ccnew on shared.pets (tenant_id, id)',
        'index pets_pkey_ccnew of ',
      ),
      'the rest of one that was interrupted, of an index with an expression': inControl(
        'users',
        () => `create unique index users_by_email_ccnew on control.users (tenant_id, lower(email));
          alter index control.users_by_email_ccnew alter 2 set statistics 0;
          update pg_index set indisvalid = false
          where indexrelid = 'control.users_by_email_ccnew'::regclass`,
        'index users_by_email_ccnew of ',
      ),
    },
    storage_changed: {
      'rows that a replica would get whole': {
        ...inShared('pets', 'alter table shared.pets replica identity full', 'storage of '),
        fix: () => 'alter table shared.pets replica identity default',
      },
      'a table that is vacuumed more often': {
        ...inShared(
          'pets',
          'alter table shared.pets set (autovacuum_vacuum_scale_factor = 0.02)',
          'storage of ',
        ),
        fix: () => 'alter table shared.pets reset (autovacuum_vacuum_scale_factor)',
      },
      'n_distinct set on a column': {
        ...inShared(
          'pets',
          'alter table shared.pets alter name set (n_distinct = 500)',
          'storage of ',
        ),
        fix: () => 'alter table shared.pets alter name reset (n_distinct)',
      },
    },
    index_extra: {
      ...everywhere('create unique index more on % (updated_at) where false', 'index more of '),
      'a key over all tenants, named as the copy of one that is being rebuilt': inShared(
        'pets',
        'create unique index pets_pkey_ccnew on shared.pets (id)',
        'index pets_pkey_ccnew of ',
      ),
      "an index that calls its owner's function": {
        ...inShared(
          'pets',
          `create schema stray;
         create function stray.others(text) returns text language sql security definer immutable
           return (select string_agg(reason, ',') from shared.visits);
         create index more on shared.pets (stray.others(name))`,
          'index more of ',
        ),
        sweep: () => 'drop schema stray cascade',
      },
    },
    index_missing: {
      'pets by species': inShared(
        'pets',
        'drop index shared.pets_by_species',
        'index pets_by_species of ',
      ),
    },
    table_extra: {
      'a table that is neither migrated nor deleted': {
        ...inShared('toys', 'create table shared.toys (name text)'),
        fix: () => 'drop table shared.toys',
      },
    },
    owner_changed: {
      'a table of a stranger': {
        spoil: () => 'alter table shared.pets owner to pg_monitor',
        where: ({ main }) => `owner of table shared.pets of database ${main}`,
        among: true,
      },
      'a function of a stranger': {
        spoil: () => 'alter function control.announce() owner to pg_monitor',
        where: ({ main }) => `owner of function control.announce() of database ${main}`,
        among: true,
      },
    },
    schema_changed: {
      'a schema of a stranger': {
        spoil: ({ schema }) => `alter schema ${schema} owner to pg_monitor`,
        where: ({ schema, main }) => `schema ${schema} of database ${main}`,
        among: true,
      },
    },
    statistics_extra: {
      'extended statistics on two columns': {
        spoil: () => 'create statistics shared.more on name, breed from shared.pets',
        where: ({ main }) => `statistics shared.more of database ${main}`,
      },
    },
    object_extra: {
      'an operator of ours': {
        spoil: () =>
          `create operator shared.=== (leftarg = uuid, rightarg = uuid, function = uuid_ne)`,
        where: ({ main }) =>
          `operator shared.===(pg_catalog.uuid,pg_catalog.uuid) of database ${main}`,
      },
      'a type of ours': {
        spoil: () => 'create domain kernel.uuid as text',
        where: ({ main }) => `type kernel.uuid of database ${main}`,
      },
    },
    event_trigger_extra: {
      'a function that sees each command': {
        spoil: () => `create schema stray;
        create function stray.watch() returns event_trigger language plpgsql as 'begin end';
        create event trigger watch on ddl_command_end execute function stray.watch()`,
        where: ({ main }) => `event trigger watch of database ${main}`,
        sweep: () => 'drop schema stray cascade',
      },
    },
    publication_extra: {
      'a publication of our tables': {
        spoil: () => 'create publication told for table shared.pets',
        where: ({ main }) => `publication told of our tables of database ${main}`,
      },
    },
    cast_extra: {
      'an implicit cast from text': {
        spoil: () => 'create cast (text as integer) with inout as implicit',
        where: ({ main }) => `cast (text as integer) of database ${main}`,
      },
    },
    policy_missing: {
      ...everywhere('drop policy tenant_rows on %', 'policy tenant_rows of '),
      "the operator's view of the trail": inControl(
        'audit_events',
        () => 'drop policy every_row on control.audit_events',
        'policy every_row of ',
      ),
    },
    policy_changed: {
      ...everywhere('alter policy tenant_rows on % using (true)', 'policy tenant_rows of '),
      'a policy that also writes what it likes': inShared(
        'pets',
        'alter policy tenant_rows on shared.pets with check (true)',
        'policy tenant_rows of ',
      ),
      'a policy of the trail that shows the operator what is its own': inControl(
        'audit_events',
        () =>
          'alter policy tenant_rows on control.audit_events using (tenant_id = (select kernel.tenant()))',
        'policy tenant_rows of ',
      ),
      "the operator's, given to the account": inControl(
        'audit_events',
        ({ account }) => `alter policy every_row on control.audit_events to ${account}`,
        'policy every_row of ',
      ),
      "the operator's, which hides events": inControl(
        'audit_events',
        () => "alter policy every_row on control.audit_events using (actor <> 'mallory')",
        'policy every_row of ',
      ),
      'a policy for somebody else': inControl(
        'users',
        ({ app }) => `alter policy tenant_rows on control.users to ${app}`,
        'policy tenant_rows of ',
      ),
      'a policy for reading alone': inShared(
        'visits',
        `drop policy tenant_rows on shared.visits;
       create policy tenant_rows on shared.visits for select using (tenant_id = (select kernel.tenant()))`,
        'policy tenant_rows of ',
      ),
    },
    policy_extra: {
      ...everywhere('create policy more on % for select using (true)', 'policy more of '),
      'a restrictive one that hides events': inControl(
        'audit_events',
        () => `create policy more on control.audit_events as restrictive
        using (actor <> 'mallory')`,
        'policy more of ',
      ),
      'a policy for the account alone': inControl(
        'users',
        ({ account }) => `create policy more on control.users to ${account} using (true)`,
        'policy more of ',
      ),
    },
  },
  'there',
);
