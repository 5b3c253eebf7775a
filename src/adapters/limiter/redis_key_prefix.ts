/**
 * The prefix of an installation's keys in Redis. A copy of the database has the same secret and the same
 * tenant ids, but a copy of production must not use up production's tokens. So the prefix also depends on
 * the place of the tables: the server's system identifier, from initdb, and the database's oid.
 *
 * A copy of the server's files has the same identifier and oid. It needs a Redis of its own, or a database
 * of Redis (`redis://host/1`).
 *
 * Source: https://www.postgresql.org/docs/current/functions-info.html, pg_control_system()
 */
import { createHash } from 'node:crypto';
import type { Sql } from '../../kernel/ports.ts';

/** @param mark Derived from the installation's secret. */
export async function redisKeyPrefix(control: Sql, mark: string): Promise<string> {
  const [database] = await control<{ oid: string }>`
    select oid::text from pg_database where datname = current_database()`;
  const text = JSON.stringify([mark, await serverOf(control), database?.oid]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Empty when the server does not allow the query. Then copies in databases of the same oid are equal. */
async function serverOf(control: Sql): Promise<string> {
  const [permission] = await control<{ granted: boolean | null }>`
    select has_function_privilege(to_regprocedure('pg_control_system()'), 'execute') as granted`;
  if (!permission?.granted) return '';
  const [server] = await control<{ identifier: string }>`
    select system_identifier::text as identifier from pg_control_system()`;
  return server?.identifier ?? '';
}
