/** Access to the control schema for the directory and the operator, who see every tenant's rows. */
import type { Db, Sql, SqlValue } from '../kernel/ports.ts';
import type { ConnectionPool } from './connection_pool.ts';
import { noContext } from './envelope.ts';
import type { Installation } from './installation.ts';

/** The name of the operator's statements in the pool's shares. */
const ourselves = 'control';

/** The name of short reads in the pool's shares. */
const lookups = 'lookups';

/** Runs statements whose names are qualified: `control.tenants`. */
export function controlDb(pool: ConnectionPool, { controlUrl }: Installation): Db {
  const statement = <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    pool.exclusive(controlUrl, ourselves, (connection) => connection.plain<Row>(text, ...values));
  const transaction = <Result>(work: (sql: Sql) => Promise<Result>) =>
    pool.exclusive(controlUrl, ourselves, (connection) => connection.transaction(noContext, work));
  return Object.assign(statement, { transaction });
}

/**
 * Runs short reads, which share connections as tenants' reads do: after a gap in the announcements the
 * directory looks up every tenant again.
 */
export function controlLookups(pool: ConnectionPool, { controlUrl }: Installation): Sql {
  return <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) =>
    pool.shared(controlUrl, lookups, (connection) => connection.plain<Row>(text, ...values));
}
