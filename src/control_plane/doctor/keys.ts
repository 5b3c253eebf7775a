/**
 * Unique and foreign keys of tenants' tables. They are checked without row security, so a key that
 * does not begin with the tenant tells one tenant about another's rows.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, finding, quoted } from './finding.ts';
import { nameOf, oidsOf, type TenantTable, whereIs } from './tables.ts';

type Key = { schema: string; name: string; index: string; constraint: string | null };

export async function examineKeys(
  sql: Sql,
  tables: TenantTable[],
  database: string,
): Promise<Finding[]> {
  const unique = await readUniqueKeys(sql, tables);
  const foreign = await readForeignKeys(sql, tables);
  return [
    ...unique.map((key) =>
      finding('unique_key_without_tenant', {
        database,
        where: `index ${key.index} of ${whereIs(key, database)}`,
        what: 'It is unique over all tenants, and tells one what another has',
        fix: dropping(key),
      }),
    ),
    ...foreign.map((key) =>
      finding('foreign_key_without_tenant', {
        database,
        where: `foreign key ${key.constraint} of ${whereIs(key, database)}`,
        what: "It does not begin with tenant_id on both sides, and accepts another tenant's rows",
        fix: dropping(key),
      }),
    ),
  ];
}

function dropping(key: Key): string {
  return key.constraint === null
    ? `drop index ${quoted(key.schema)}.${quoted(key.index)}`
    : `alter table ${nameOf(key)} drop constraint ${quoted(key.constraint)}`;
}

function readUniqueKeys(sql: Sql, tables: TenantTable[]): Promise<Key[]> {
  return sql<Key>`
    select nspname as schema, owner.relname as name, own.relname as index,
      conname as constraint
    from pg_index
      join pg_class own on own.oid = indexrelid
      join pg_class owner on owner.oid = indrelid
      join pg_namespace on pg_namespace.oid = owner.relnamespace
      left join pg_constraint on conindid = indexrelid and contype in ('p', 'u', 'x')
    where indrelid in (select jsonb_array_elements_text(${oidsOf(tables)}::text::jsonb)::oid)
      and (indisunique or indisexclusion)
      and (
        indkey[0] is distinct from (
          select attnum from pg_attribute where attrelid = indrelid and attname = 'tenant_id'
        )
        -- With any other operator, rows of one tenant exclude rows of others.
        or indisexclusion and conexclop[1] is distinct from '=(uuid,uuid)'::regoperator
      )
    order by 1, 2, 3`;
}

function readForeignKeys(sql: Sql, tables: TenantTable[]): Promise<Key[]> {
  return sql<Key>`
    select nspname as schema, relname as name, '' as index, conname as constraint
    from pg_constraint
      join pg_class on pg_class.oid = conrelid
      join pg_namespace on pg_namespace.oid = relnamespace
    where contype = 'f'
      and conrelid in (select jsonb_array_elements_text(${oidsOf(tables)}::text::jsonb)::oid)
      and (
        conkey[1] is distinct from (
          select attnum from pg_attribute where attrelid = conrelid and attname = 'tenant_id'
        )
        or confkey[1] is distinct from (
            select attnum from pg_attribute where attrelid = confrelid and attname = 'tenant_id'
          )
      )
    order by 1, 2, 4`;
}
