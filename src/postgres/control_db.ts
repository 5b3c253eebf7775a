/** The control schema as the directory and the operator see it: every tenant's rows. */
import type { Db, Sql, SqlValue } from '../kernel/ports.ts';
import type { Installation } from './installation.ts';
import type { LanePool } from './lane_pool.ts';

/** Whose share of the control lanes our own work counts against. */
const ourselves = 'control';

/** Names in its statements are qualified: `control.tenants`. */
export function controlDb(pool: LanePool, { controlTarget }: Installation): Db {
  const statement = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    pool.use(controlTarget, ourselves, (lane) => lane.plain<Row>(text, ...values));
  const transaction = <Result>(work: (sql: Sql) => Promise<Result>) =>
    pool.use(controlTarget, ourselves, (lane) => lane.transaction('begin', work));
  return Object.assign(statement, { transaction });
}
