/** The control schema as the directory and the operator see it: every tenant's rows. */
import type { Db, Sql, SqlValue } from '../kernel/ports.ts';
import type { ConnectionPool } from './connection_pool.ts';
import type { Installation } from './installation.ts';

/** Whose share of the control connections our own work counts against. */
const ourselves = 'control';

/** Whose share short reads count against. */
const lookups = 'lookups';

/** Names in its statements are qualified: `control.tenants`. */
export function controlDb(pool: ConnectionPool, { controlTarget }: Installation): Db {
  const statement = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    pool.exclusive(controlTarget, ourselves, (connection) =>
      connection.plain<Row>(text, ...values),
    );
  const transaction = <Result>(work: (sql: Sql) => Promise<Result>) =>
    pool.exclusive(controlTarget, ourselves, (connection) => connection.transaction('begin', work));
  return Object.assign(statement, { transaction });
}

/**
 * For short reads alone: those of a moment share a connection, as tenants' reads do. After a gap in the
 * announcements the directory looks up everybody at once.
 */
export function controlLookups(pool: ConnectionPool, { controlTarget }: Installation): Sql {
  return <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    pool.shared(controlTarget, lookups, (connection) => connection.plain<Row>(text, ...values));
}
