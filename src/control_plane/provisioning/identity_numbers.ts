/** Lets identity columns count on behind rows that were inserted together with their numbers. */
import type { Sql } from '../../kernel/ports.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { literal } from '../moves/row_statements.ts';
import type { StoredTable } from './stored_tables.ts';

/**
 * Up to this many numbers are drawn one by one, so no other session gets the same number. A larger gap is
 * closed by `setval`: a number repeats only if others draw that many at the same time.
 */
const drawnNumbers = 100_000;

/**
 * Advances the sequence of each identity column to the highest number of the tenant's rows, as the owner in the
 * tenant's context. In shared tables other tenants use the same sequence, so it is never set back. One statement,
 * because a tenant's writes wait for it; none without identity columns. Sequences that count down are left alone.
 */
export async function advanceNumbers(sql: Sql, tables: readonly StoredTable[]): Promise<void> {
  const numbered = tables.flatMap(({ name, columns }) =>
    columns.filter(({ identity }) => identity).map((column) => numbersOf(name, column.name)),
  );
  if (numbered.length > 0) await sql(statementOf(advancing(numbered.join(' union all '))));
}

function numbersOf(table: string, column: string): string {
  return `
    select pg_get_serial_sequence(${literal(identifier(table))}, ${literal(column)})::regclass as sequence,
      (select max(${identifier(column)}) from ${identifier(table)})::bigint as highest`;
}

/** The first number is drawn, because a sequence that is unused may begin anywhere. */
function advancing(numbered: string): string {
  return `
    with numbered as materialized (${numbered}), sequences as (
      select sequence, seqincrement as step, seqmin as lowest,
        case when highest > seqmax then seqmax else highest end as highest
      from numbered
        join pg_sequence on seqrelid = sequence
    ), drawn as materialized (
      select sequence, step, highest, nextval(sequence) as number
      from sequences
      where step > 0
        and coalesce(pg_sequence_last_value(sequence) + step::numeric <= highest, highest >= lowest)
    ), ahead as (
      select sequence, number, step, (highest - number) / step as further
      from drawn
      where number < highest
    )
    select max(advanced.number) as number
    from ahead
      cross join lateral (
        select nextval(sequence) as number
        from generate_series(1, further)
        where further <= ${drawnNumbers}
        union all
        select setval(sequence, greatest(number + further * step, pg_sequence_last_value(sequence)))
        where further > ${drawnNumbers}
      ) as advanced`;
}
