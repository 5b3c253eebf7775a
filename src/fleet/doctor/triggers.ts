/**
 * What runs or reads beside a statement on our tables: triggers, rules and inheritance. A parent
 * shows the rows of its children, and asks no policy of theirs.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Examined, schemasOf } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';
import { nameOf, whereIs } from './tables.ts';

type Named = { schema: string; name: string };
type Trigger = Named & { trigger: string; definition: string };

/** Triggers of the control schema, as the catalog shows those that sql/control makes. */
const meant: readonly string[] = [
  'CREATE TRIGGER chain BEFORE INSERT ON control.audit_events FOR EACH ROW EXECUTE FUNCTION control.chain_event()',
  ...(
    [
      ['tenants', 'tenant', 'id'],
      ['settings', 'tenant', 'tenant_id'],
      ['api_keys', 'key', 'id'],
      ['plans', 'plan', 'name'],
    ] as const
  ).map(
    ([table, what, column]) =>
      `CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON control.${table} FOR EACH ROW EXECUTE FUNCTION control.announce('${what}', '${column}')`,
  ),
];

export async function examineTriggers(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const triggers = await readTriggers(sql, examined);
  const present = new Set(triggers.map(({ definition }) => definition));
  const missing = examined.control ? meant.filter((one) => !present.has(one)) : [];
  return [
    ...triggers
      .filter(({ definition }) => !meant.includes(definition))
      .map((one) =>
        finding('trigger_extra', {
          database,
          where: `trigger ${one.trigger} of ${whereIs(one, database)}`,
          what: 'It runs with the rights of whoever writes, and sees what is written',
          mend: `drop trigger ${quoted(one.trigger)} on ${nameOf(one)}`,
        }),
      ),
    ...missing.map((definition) => triggerMissing(definition, database)),
    ...(await triggersOff(sql, examined)),
    ...(await rules(sql, examined)),
    ...(await inheritance(sql, examined)),
  ];
}

function triggerMissing(definition: string, database: string): Finding {
  const [, trigger, table] = /TRIGGER (\w+) .* ON (\S+)/.exec(definition) ?? [];
  return finding('trigger_missing', {
    database,
    where: `trigger ${trigger} of table ${table} of database ${database}`,
    what: 'It is not there as sql/control made it',
    mend: definition.replace('CREATE TRIGGER', 'create or replace trigger'),
  });
}

/** Those of foreign keys are Postgres's own. */
function readTriggers(sql: Sql, examined: Examined): Promise<Trigger[]> {
  return sql<Trigger>`
    select nspname as schema, relname as name, tgname as trigger,
      pg_get_triggerdef(pg_trigger.oid) as definition
    from pg_trigger
      join pg_class on pg_class.oid = tgrelid
      join pg_namespace on pg_namespace.oid = relnamespace
    where not tgisinternal and nspname in (
      select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
    )
    order by 1, 2, 3`;
}

/** Foreign keys are triggers too: switched off, they let in rows that refer to another tenant's. */
async function triggersOff(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const rows = await sql<Named>`
    select distinct nspname as schema, relname as name
    from pg_trigger
      join pg_class on pg_class.oid = tgrelid
      join pg_namespace on pg_namespace.oid = relnamespace
    where tgenabled <> 'O' and nspname in (
      select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
    )
    order by 1, 2`;
  return rows.map((table) =>
    finding('trigger_off', {
      database,
      where: `triggers of ${whereIs(table, database)}`,
      what: 'Some, among which those of foreign keys are, do not run as they were made to',
      mend: `alter table ${nameOf(table)} enable trigger all`,
    }),
  );
}

async function rules(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const rows = await sql<Named & { rule: string }>`
    select nspname as schema, relname as name, rulename as rule
    from pg_rewrite
      join pg_class on pg_class.oid = ev_class
      join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p') and nspname in (
      select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
    )
    order by 1, 2, 3`;
  return rows.map((one) =>
    finding('rule_extra', {
      database,
      where: `rule ${one.rule} of ${whereIs(one, database)}`,
      what: 'What it does is done with the rights of the owner of the table',
      mend: `drop rule ${quoted(one.rule)} on ${nameOf(one)}`,
    }),
  );
}

type Heir = { child: string; parent: string; ours: string; partition: boolean };

async function inheritance(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const rows = await sql<Heir>`
    with ours as (
      select pg_class.oid
      from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
      where relkind in ('r', 'p') and nspname in (
        select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
      )
    )
    select inhrelid::regclass::text as child, inhparent::regclass::text as parent,
      case when inhparent in (select oid from ours) then inhparent else inhrelid end::regclass::text
        as ours,
      relispartition as partition
    from pg_inherits
      join pg_class on pg_class.oid = inhrelid
    where inhrelid in (select oid from ours) or inhparent in (select oid from ours)
    order by 1, 2`;
  return rows.map(({ child, parent, ours, partition }) =>
    finding('table_inherits', {
      database,
      where: `table ${ours} of database ${database}`,
      what: `${parent} shows the rows of ${child}, past the policies of ${child}`,
      mend: partition
        ? `alter table ${parent} detach partition ${child}`
        : `alter table ${child} no inherit ${parent}`,
    }),
  );
}
