/**
 * A tenant's `db`: tagged statements that each travel in an envelope of that tenant. What a handler
 * holds cannot reach any other tenant, and is dead once its request has ended.
 */
import type { Db, Sql, SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Envelopes } from './envelope.ts';
import { asViolation } from './faults.ts';
import type { Place } from './installation.ts';
import type { Lane } from './lane.ts';
import type { LanePool } from './lane_pool.ts';

export type Lanes = { pool: LanePool; envelopes: Envelopes };

/** Opens one tenant's tables in a place for the time of `work`. */
export async function openPlace<Result>(
  { pool, envelopes }: Lanes,
  place: Place,
  tenant: TenantId,
  work: (db: Db) => Promise<Result>,
): Promise<Result> {
  let open = true;
  const assertOpen = () => {
    if (!open) throw new Error("Cannot use a tenant's db: its request has ended");
  };
  const use = async <Value>(call: (lane: Lane) => Promise<Value>) => {
    assertOpen();
    try {
      return await pool.use(place.target, tenant, call);
    } catch (error) {
      throw asViolation(error);
    }
  };
  const statement = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    use((lane) => lane.statement<Row>(envelopes.of(lane, place, tenant), text, values));
  const transaction = <Value>(steps: (sql: Sql) => Promise<Value>) =>
    use((lane) => lane.transaction(envelopes.of(lane, place, tenant), steps));
  try {
    return await work(Object.assign(statement, { transaction }));
  } finally {
    open = false;
  }
}
