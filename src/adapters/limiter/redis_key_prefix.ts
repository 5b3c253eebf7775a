/**
 * Whose budgets a Redis keeps: the name of one installation, which its copy does not share. All that a
 * copy has in its tables is the same, the installation's secret and the tenants' ids included, and yet a
 * copy of production must not spend production's budgets. So the name is taken from where the tables
 * are, too: the identifier that initdb drew for the server, and the database's number there.
 *
 * A copy of the server's files has those as well and looks the same in every respect; it needs a Redis,
 * or a database of Redis (`redis://host/1`), of its own.
 *
 * Source: https://www.postgresql.org/docs/current/functions-info.html, pg_control_system()
 */
import { createHash } from 'node:crypto';
import type { Sql } from '../../kernel/ports.ts';

/** @param mark what the installation's secret says of it. */
export async function redisKeyPrefix(control: Sql, mark: string): Promise<string> {
  const [database] = await control<{ oid: string }>`
    select oid::text from pg_database where datname = current_database()`;
  const text = JSON.stringify([mark, await serverOf(control), database?.oid]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Empty where a server does not tell: then a copy in a database of the same number looks the same. */
async function serverOf(control: Sql): Promise<string> {
  const [told] = await control<{ told: boolean | null }>`
    select has_function_privilege(to_regprocedure('pg_control_system()'), 'execute') as told`;
  if (!told?.told) return '';
  const [server] = await control<{ identifier: string }>`
    select system_identifier::text as identifier from pg_control_system()`;
  return server?.identifier ?? '';
}
