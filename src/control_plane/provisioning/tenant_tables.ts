/**
 * The tables of a placement, read from the catalog, so that nothing lists tenants' tables by name. After
 * each migration this module checks the guards of every table, and sets its grants and statistics.
 *
 * Row security applies to rows, but neither to locks nor to the planner's statistics. So rights to write are
 * granted by column, because with such rights on a whole table LOCK TABLE could block other tenants. And
 * no readable column has statistics, because estimates would show its readers other tenants' values.
 *
 * Sources: https://www.postgresql.org/docs/current/sql-lock.html and planner-stats-security.html
 */
import type { Sql } from '../../kernel/ports.ts';

/** SQL that is run as the owner. */
type Script = string;

/**
 * Raises an error for a table without `tenant_id`, row security or its policy, and for extended statistics. It
 * does not add the guards, because the reader of a migration must see them.
 */
export function assertingGuards(schemas: readonly string[]): Script {
  return eachTable(schemas, guard);
}

/** Gives restrictive policies, which may hide rows from the owner, to another role. */
export function showingAll(schemas: readonly string[], other: string): Script {
  return `do $$
    declare
      policy record;
    begin
      for policy in
        select polname as name, polrelid::regclass as relation from pg_policy
        where not polpermissive and polrelid = any (${relationsIn(schemas)})
      loop
        execute format('alter policy %I on %s to "${other}"', policy.name, policy.relation);
      end loop;
    end $$`;
}

/** Asserts the guards, and sets the grants and statistics of tables that are not right yet. */
export function restricting(schemas: readonly string[], app: string): Script {
  const rights = rightsOf(app);
  return eachTable(schemas, {
    facts: `${guard.facts}, ${rights.facts}`,
    ofColumns: `${guard.ofColumns}, ${rights.ofColumns}`,
    actions: `${guard.actions} ${rights.actions}`,
    // Planned only where an index has expressions.
    atEnd: `
      if exists (select from pg_index where indrelid = any (relations) and indexprs is not null) then
        ${changing(statisticsOfExpressions(app))}
      end if;`,
  });
}

/** Facts of each table, of which some are made of its columns, and the actions that they need. */
type Examination = { facts: string; ofColumns: string; actions: string; atEnd?: string };

/** All facts are read by one query, because planning takes most of its time. */
function eachTable(
  schemas: readonly string[],
  { facts, ofColumns, actions, atEnd = '' }: Examination,
): Script {
  return `do $$
    declare
      relations constant oid[] := ${relationsIn(schemas)};
      tenant_table record;
      change record;
    begin
      for tenant_table in
        select pg_class.oid::regclass as name, ${facts}
        from pg_class
          cross join lateral (
            select ${ofColumns}
            from pg_attribute
            where attrelid = pg_class.oid and attnum > 0 and not attisdropped
          ) as of_columns
        where pg_class.oid = any (relations) and relkind in ('r', 'p') and relname <> 'migrations'
        order by relname
      loop
        ${actions}
      end loop;
      if exists (select from pg_statistic_ext where stxnamespace = any (${oidsOf(schemas)})) then
        raise exception 'extended statistics show tenants each other''s values';
      end if;
      ${atEnd}
    end $$`;
}

/**
 * Read by a sub-select for each table: `pg_get_expr` locks the table whose default or policy it prints, and with a
 * join or EXISTS the planner might read, and so lock, the tables of all tenants.
 */
const guard: Examination = {
  facts: `
    case
      when not coalesce(has_tenant, false)
        then 'no column "tenant_id uuid not null default kernel.tenant()"'
      when not (relrowsecurity and relforcerowsecurity)
        then 'no row security that is enabled and forced'
      else coalesce((
        select case
          when not (polpermissive and polcmd = '*' and polroles = '{0}'
            and pg_get_expr(polqual, polrelid) = '(tenant_id = ( SELECT kernel.tenant() AS tenant))'
            and coalesce(polwithcheck is null
              or pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid), false))
            then 'a policy "tenant_rows" other than "using (tenant_id = (select kernel.tenant()))" for all'
          else ''
        end
        from pg_policy
        where polrelid = pg_class.oid and polname = 'tenant_rows'
      ), 'no policy "tenant_rows"')
    end as missing`,
  ofColumns: `
    bool_or(
      attname = 'tenant_id' and atttypid = 'uuid'::regtype and attnotnull and (
        select pg_get_expr(adbin, adrelid) = 'kernel.tenant()'
        from pg_attrdef
        where adrelid = attrelid and adnum = attnum
      )
    ) as has_tenant`,
  actions: `
    if tenant_table.missing <> '' then
      raise exception 'table % has %', tenant_table.name, tenant_table.missing;
    end if;`,
};

/** The rights that handlers need: on the whole table only select, the others by column; and no statistics. */
function rightsOf(app: string): Examination {
  return {
    facts: `
      has_table_privilege('${app}', pg_class.oid, 'insert, update, delete') as has_too_many,
      has_table_privilege('${app}', pg_class.oid, 'select') as is_readable,
      every_column, lacking, without_statistics`,
    ofColumns: `
      string_agg(quote_ident(attname), ', ' order by attnum) as every_column,
      string_agg(quote_ident(attname), ', ' order by attnum) filter (where
        not has_column_privilege('${app}', attrelid, attnum, 'insert')
        or not has_column_privilege('${app}', attrelid, attnum, 'update')) as lacking,
      string_agg(${withoutStatisticsOf}, ', ') filter (where ${hasStatistics})
        as without_statistics`,
    actions: `
      if tenant_table.has_too_many then
        execute format('revoke all on %s from "${app}"', tenant_table.name);
        tenant_table.is_readable := false;
        tenant_table.lacking := tenant_table.every_column;
      end if;
      if not tenant_table.is_readable then
        execute format('grant select on %s to "${app}"', tenant_table.name);
      end if;
      if tenant_table.lacking is not null then
        execute format('grant insert (%1$s), update (%1$s) on %2$s to "${app}"',
          tenant_table.lacking, tenant_table.name);
      end if;
      if tenant_table.without_statistics is not null then
        execute format('alter table %s %s', tenant_table.name, tenant_table.without_statistics);
      end if;`,
  };
}

/** Virtual columns have none, and ALTER TABLE refuses them. */
const hasStatistics = "attstattarget is distinct from 0 and attgenerated <> 'v'";

const withoutStatisticsOf = "format('alter column %I set statistics 0', attname)";

/**
 * Turns off the statistics of the columns that a role may read, and of expression indexes on them. Other
 * columns may keep theirs, because a query that names them is refused. In an index only expressions have
 * statistics, and ALTER INDEX names them by number.
 */
export function withoutStatistics(schemas: readonly string[], role: string): Script {
  return `do $$
    declare
      relations constant oid[] := ${relationsIn(schemas)};
      change record;
    begin
      ${changing(`
        select format('alter table %s %s', attrelid::regclass, string_agg(${withoutStatisticsOf}, ', '))
          as statement
        from pg_class
          join pg_attribute on attrelid = pg_class.oid
        where pg_class.oid = any (relations) and relkind in ('r', 'p')
          and attnum > 0 and not attisdropped and ${hasStatistics}
          and has_column_privilege('${role}', attrelid, attnum, 'select')
        group by attrelid
        union all ${statisticsOfExpressions(role)}`)}
    end $$`;
}

function statisticsOfExpressions(role: string): string {
  return `
    select format('alter index %s alter column %s set statistics 0', attrelid::regclass, attnum)
      as statement
    from pg_index
      join pg_attribute on attrelid = indexrelid
    where indrelid = any (relations) and indexprs is not null and indkey[attnum - 1] = 0
      and attnum > 0 and attstattarget is distinct from 0
      and has_any_column_privilege('${role}', indrelid, 'select')`;
}

/** Executes the statements that a query returns. */
function changing(statements: string): string {
  return `for change in ${statements} loop
      execute change.statement;
    end loop;`;
}

/**
 * The relations of schemas, except indexes. `pg_class` has no index on the schema, and to read it whole for
 * each of thousands of schemas would take time in proportion to the square of their number.
 */
function relationsIn(schemas: readonly string[]): string {
  return `array(
    select objid from pg_depend
    where refclassid = 'pg_namespace'::regclass and refobjid = any (${oidsOf(schemas)})
      and classid = 'pg_class'::regclass
  )`;
}

function oidsOf(schemas: readonly string[]): string {
  return `array[${schemas.map((schema) => `'${schema}'::regnamespace`).join(', ')}]::oid[]`;
}

/** A table, and the tables of the same schema that its foreign keys refer to. */
export type TenantTable = { name: string; refersTo: readonly string[] };

/** All tenants' tables of a schema, in the order of their names. */
export function readTenantTables(sql: Sql, schema: string): Promise<TenantTable[]> {
  return sql<TenantTable>`
    select relname as name,
      coalesce((
        select jsonb_agg(distinct referred.relname)
        from pg_constraint
          join pg_class referred on referred.oid = confrelid
        where conrelid = pg_class.oid and contype = 'f'
          and referred.relnamespace = pg_class.relnamespace
      ), '[]') as "refersTo"
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(${schema}))
      and relkind in ('r', 'p') and not relispartition and relname <> 'migrations'
    order by relname`;
}

/**
 * The tables in an order in which their rows can be deleted: a table comes before those that it refers
 * to. Tables that refer to each other in a cycle are one group; those that only refer to it, or are only referred
 * to from it, are not in it, because the rows of a group must fit into memory.
 *
 * @example deletionOrder([pets, visits]) // [['visits'], ['pets']]
 */
export function deletionOrder(tables: readonly TenantTable[]): string[][] {
  const groups: string[][] = [];
  let left = [...tables];
  while (left.length > 0) {
    const free = left.filter(({ name }) =>
      left.every((other) => other.name === name || !other.refersTo.includes(name)),
    );
    const next = free.length > 0 ? free.map(({ name }) => [name]) : [firstCycle(left)];
    groups.push(...next);
    left = left.filter(({ name }) => !next.flat().includes(name));
  }
  return groups;
}

/** Returns a cycle that no other table refers to. Each of the tables is referred to by another one. */
function firstCycle(tables: readonly TenantTable[]): string[] {
  const reached = tables.map(({ name }) => ({ name, names: reachedFrom(name, tables) }));
  // A table that refers to the cycle from outside would reach more tables.
  const [first] = reached.toSorted((one, other) => other.names.size - one.names.size);
  return reached.filter(({ names }) => first && names.has(first.name)).map(({ name }) => name);
}

/** The tables that a table refers to, also by way of others. */
function reachedFrom(name: string, tables: readonly TenantTable[]): Set<string> {
  const reached = new Set<string>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const table = tables.find((one) => one.name === next);
    for (const other of table?.refersTo ?? []) {
      if (reached.has(other) || tables.every((one) => one.name !== other)) continue;
      reached.add(other);
      open.push(other);
    }
  }
  return reached;
}
