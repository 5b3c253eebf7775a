import type { Names } from '../../support/ward.ts';
import { findsEach, type Spoilt } from './spoilt.ts';

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

const nullable = `alter table control.usage_days
  drop constraint usage_days_pkey, alter tenant_id drop not null`;
const bareTable = 'create table shared.toys (name text)';
const typed = 'create table shared.toys (tenant_id text not null)';
const byIdAlone = `
  alter table shared.pets add constraint extra unique (id);
  alter table shared.visits add constraint more foreign key (pet_id) references shared.pets (id)`;
const crossed = `
  alter table shared.pets add constraint extra unique (id, tenant_id);
  alter table shared.visits add constraint more
    foreign key (tenant_id, pet_id) references shared.pets (id, tenant_id)`;

const inShared = (table: string, spoil: string, where = ''): Spoilt => ({
  spoil: () => spoil,
  where: ({ main }) => `${where}table shared.${table} of database ${main}`,
});

findsEach({
  row_security_off: everywhere('alter table % disable row level security'),
  row_security_not_forced: everywhere('alter table % no force row level security'),
  tenant_id_wrong: {
    'a table that lets it be null': {
      ...inControl('usage_days', () => nullable, 'column tenant_id of '),
    },
    'a table without one': {
      ...inShared('toys', bareTable, 'column tenant_id of '),
      among: true,
      mend: () => 'drop table shared.toys',
    },
    'a table whose is text': {
      ...inShared('toys', typed, 'column tenant_id of '),
      among: true,
      mend: () => 'drop table shared.toys',
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
  unique_key_without_tenant: {
    ...everywhere('create unique index more on % (updated_at) where false', 'index more of '),
    'a constraint': inShared(
      'pets',
      'alter table shared.pets add constraint more unique (id)',
      'index more of ',
    ),
    'an exclusion between tenants': {
      ...inShared(
        'pets',
        `create schema stray; create extension btree_gist schema stray;
         alter table shared.pets add constraint more
           exclude using gist (tenant_id stray.gist_uuid_ops with <>)`,
        'index more of ',
      ),
      sweep: () => 'drop schema stray cascade',
    },
    'an exclusion': inShared(
      'pets',
      'alter table shared.pets add constraint more exclude (id with =)',
      'index more of ',
    ),
  },
  foreign_key_without_tenant: {
    'a reference by id alone': {
      ...inShared('visits', byIdAlone, 'foreign key more of '),
      among: true,
    },
    'a reference whose other side begins with another column': {
      ...inShared('visits', crossed, 'foreign key more of '),
      among: true,
    },
  },
});
