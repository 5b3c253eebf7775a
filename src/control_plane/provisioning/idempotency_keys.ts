/**
 * Removes first answers that are older than clients may ask for; maintenance calls it, as the control role.
 */
import type { Sql } from '../../kernel/ports.ts';

export type KeptAnswers = {
  keptMs: number;
  /** The most answers that are kept of one tenant; the oldest go first. */
  perTenant: number;
  /** The most rows that one call removes. */
  clearedAtOnce: number;
};

export async function clearIdempotencyKeys(
  control: Sql,
  { keptMs, perTenant, clearedAtOnce }: KeptAnswers,
): Promise<void> {
  await control`
    delete from control.idempotency_keys
    where ctid in (
      select ctid from control.idempotency_keys
      where created_at <= now() - ${keptMs} * interval '1 millisecond'
      limit ${clearedAtOnce}
    )`;
  await control`
    delete from control.idempotency_keys
    where ctid in (
      select oldest.ctid
      from (
        select tenant_id from control.idempotency_keys group by 1 having count(*) > ${perTenant}
      ) as crowded
        cross join lateral (
          select ctid from control.idempotency_keys as own
          where own.tenant_id = crowded.tenant_id
          order by created_at desc
          offset ${perTenant}
        ) as oldest
      limit ${clearedAtOnce}
    )`;
}
