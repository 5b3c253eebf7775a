/** Limits the stored responses of idempotent requests. */
import type { Sql } from '../../kernel/ports.ts';

export type IdempotencyRetention = {
  keptMs: number;
  /** The most responses that are kept for one tenant; the oldest are deleted first. */
  perTenant: number;
  /** The most rows that each of the two statements deletes. */
  batchSize: number;
};

/** Deletes at most two batches: expired responses, and the oldest of tenants that have too many. */
export async function clearIdempotencyKeys(
  control: Sql,
  { keptMs, perTenant, batchSize }: IdempotencyRetention,
): Promise<void> {
  await control`
    delete from control.idempotency_keys
    where ctid in (
      select ctid from control.idempotency_keys
      where created_at <= now() - ${keptMs} * interval '1 millisecond'
      limit ${batchSize}
    )`;
  await control`
    delete from control.idempotency_keys
    where ctid in (
      select oldest.ctid
      from (
        select tenant_id from control.idempotency_keys group by 1 having count(*) > ${perTenant}
      ) as crowded
        cross join lateral (
          select ctid from control.idempotency_keys as keys
          where keys.tenant_id = crowded.tenant_id
          order by created_at desc
          offset ${perTenant}
        ) as oldest
      limit ${batchSize}
    )`;
}
