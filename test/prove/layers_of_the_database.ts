/**
 * Statements of the superuser that take a layer of the database off. Those of a placement run with
 * its schema as search_path, in the placement of the attacker and in that of the victim; those of
 * the control schema run in the main database, for the account of all modes.
 */
import { type Roles, schemas } from '../../src/postgres/installation.ts';

export type Names = {
  roles: Roles;
  /** The role that statements of the placement run as, and the login that becomes it. */
  role: string;
  login: string;
  database: string;
  schema: string;
  /** The login of the other tenant's placement. */
  stranger: string;
  /** The password of a login on the main server. */
  passwordOf: (login: string) => string;
};

const tenantTables = ['pets', 'visits'];
const accountTables = ['users', 'api_keys', 'settings', 'usage_days', 'audit_events'];

/** Trusts the tenant that the context names, and checks no mac. */
const believing = `
  create or replace function kernel.tenant() returns uuid language sql stable
  return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`;

/** Accepts a seal for any backend that is alive. */
const unbound = `
  create or replace function kernel.tenant() returns uuid
    language plpgsql stable security definer
  as $$
  declare
    context constant text := current_setting('kennel.tenant', true);
    tenant constant text := split_part(context, '.', 1);
  begin
    if exists (
      select
      from kernel.seal_keys key, pg_stat_activity backend
      where encode(sha256(key.outer_pad || sha256(key.inner_pad
          || convert_to(tenant || ':' || split_part(context, '.', 2) || ':' || backend.pid, 'UTF8'))), 'hex')
        = split_part(context, '.', 3)
    ) then
      return tenant::uuid;
    end if;
    raise insufficient_privilege using message = 'no tenant context';
  end $$`;

const unguarded = (tables: string[]) =>
  tables.map((table) => `alter table ${table} disable row level security;`).join('\n');

/** The policy that tutorials show: without a setting nothing is checked. */
const permissive = (tables: string[]) =>
  tables
    .map(
      (table) => `
        drop policy tenant_rows on ${table};
        create policy tenant_rows on ${table} using (
          case when coalesce(current_setting('kennel.tenant', true), '') = '' then true
            else tenant_id = kernel.tenant() end
        );`,
    )
    .join('\n');

/** Grants functions of Postgres to PUBLIC again. */
const callable = (...names: string[]) => `
  do $$ declare one regprocedure; begin
    for one in select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace
      and proname in (${names.map((name) => `'${name}'`).join(', ')})
    loop execute format('grant execute on function %s to public', one); end loop;
  end $$`;

const withCalls = (...names: string[]) => ({
  placement: () => callable(...names),
  control: () => callable(...names),
});

/** Rights for PUBLIC on schemas whose names a tenant's id is part of. */
const opened = (names: string, rights: string) => `
  do $$ declare one text; begin
    for one in select quote_ident(nspname) from pg_namespace where nspname ~ '${names}'
    loop
      execute format('grant usage on schema %s to public', one);
      execute format('grant ${rights} on all tables in schema %s to public', one);
      execute format('grant execute on all functions in schema %s to public', one);
    end loop;
  end $$`;

export const databaseWithout = {
  ownPlacement: {
    // A session in another tenant's database has to set its context there.
    placement: ({ schema }: Names) => (schema === schemas.tenant ? callable('set_config') : ''),
  },
  loginOfOneServer: {
    placement: ({ stranger, passwordOf }: Names) => `
      do $$ begin
        if not exists (select from pg_roles where rolname = '${stranger}') then
          create role "${stranger}" login password '${passwordOf(stranger)}';
        end if;
      end $$`,
  },
  passwordOfOneServer: {
    placement: ({ login, passwordOf }: Names) =>
      `alter role "${login}" password '${passwordOf(login)}'`,
  },
  noOthersConnect: {
    placement: ({ database }: Names) => `grant connect on database "${database}" to public`,
  },
  noOthersRights: {
    placement: ({ schema }: Names) => `
      grant usage on schema "${schema}", kernel to public;
      grant execute on function kernel.tenant() to public;
      grant select on pets to public`,
  },
  noSettings: withCalls('set_config'),
  noAdvisoryLocks: withCalls('pg_advisory_xact_lock_shared'),
  noQueryTexts: withCalls('query_to_xml'),
  noSessionControl: withCalls('pg_terminate_backend'),
  noLogMessages: withCalls('pg_logical_emit_message'),
  rightsByColumn: {
    placement: ({ role }: Names) => `grant insert, update, delete on pets, visits to "${role}"`,
    control: ({ roles }: Names) => `grant update on users to "${roles.account}"`,
  },
  noStatistics: { placement: () => 'alter table pets alter name set statistics 100' },
  seal: { placement: () => believing, control: () => believing },
  sealOfOneBackend: {
    // A tenant's own database has no keys: there is no other backend whose seal could be used.
    placement: ({ schema }: Names) => (schema === schemas.tenant ? '' : unbound),
    control: () => unbound,
  },
  hiddenActivity: {
    placement: ({ login }: Names) => `alter role "${login}" set track_activities = on`,
    control: ({ login }: Names) => `alter role "${login}" set track_activities = on`,
  },
  contextNeeded: { placement: () => permissive(tenantTables) },
  rowSecurity: {
    placement: () => unguarded(tenantTables),
    control: () => unguarded(accountTables),
  },
  tenantKeys: {
    placement: () => `
      alter table pets add unique (id);
      alter table visits
        drop constraint visits_tenant_id_pet_id_fkey,
        add foreign key (pet_id) references pets (id)`,
    control: () => 'create unique index on users (lower(email))',
  },
  closedCapture: { placement: () => opened('^move_', 'all') },
  closedArchive: { placement: () => opened('_archive$', 'select') },
  // A tenant's own database has its fence in kernel.tenant(), which the layer "seal" replaces.
  fence: {
    placement: ({ schema }: Names) =>
      schema === schemas.tenant ? '' : 'delete from kernel.fences',
  },
  fenceTable: {
    placement: ({ role, schema }: Names) =>
      schema === schemas.tenant
        ? ''
        : `grant select, insert, update, delete on kernel.fences to "${role}"`,
  },
  keyTable: {
    placement: ({ role }: Names) => `grant select on kernel.seal_keys to "${role}"`,
  },
  bareLogin: {
    placement: ({ login, role, schema }: Names) => `
      grant usage on schema "${schema}", kernel to "${login}";
      grant execute on function kernel.tenant() to "${login}";
      grant select on pets, visits to "${login}";
      alter role "${role}" inherit`,
  },
  noOtherRole: {
    placement: ({ login, roles }: Names) => `grant "${roles.owner}" to "${login}"`,
    control: ({ login, roles }: Names) => `grant "${roles.control}" to "${login}"`,
  },
  // In a tenant's own database the login is the role, and a superuser may call every function.
  unprivilegedLogin: { placement: ({ login }: Names) => `alter role "${login}" superuser` },
  unprivilegedRoles: {
    placement: ({ role }: Names) => `
      alter role "${role}" bypassrls;
      grant pg_read_server_files to "${role}";
      grant execute on function pg_read_binary_file(text) to "${role}"`,
  },
  ownsNothing: {
    placement: ({ role, schema }: Names) => `
      alter table pets owner to "${role}";
      grant create on schema "${schema}" to "${role}"`,
  },
  createsNothing: {
    placement: ({ role, schema }: Names) => `
      grant create on schema "${schema}" to "${role}";
      grant usage on language plpgsql to "${role}"`,
  },
  noDoBlocks: {
    placement: () => 'grant usage on language plpgsql to public',
    control: () => 'grant usage on language plpgsql to public',
  },
  noTemporaryTables: {
    placement: ({ role, database }: Names) =>
      `grant temporary on database "${database}" to "${role}"`,
  },
  securityInvoker: {
    placement: () => 'alter view pet_names set (security_invoker = false)',
  },
};

export const accountWithout = {
  boundedRows: {
    control: () => 'alter table audit_events drop constraint audit_events_details_size',
  },
  serverTable: {
    control: ({ roles }: Names) => `grant select on servers to "${roles.account}"`,
  },
  moveTable: {
    control: ({ roles }: Names) => `grant select, update on moves to "${roles.account}"`,
  },
  secretTable: {
    control: ({ roles }: Names) => `grant select on secrets to "${roles.account}"`,
  },
  audience: {
    control: ({ roles }: Names) => `
      drop policy tenant_rows on audit_events;
      create policy tenant_rows on audit_events to "${roles.account}"
        using (tenant_id = (select kernel.tenant()))`,
  },
};
