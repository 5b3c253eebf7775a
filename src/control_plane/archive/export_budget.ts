/**
 * How many exports may run at the same time, in all processes together. They use the login of migrations, and
 * must leave enough of its connections to onboarding and migrations.
 */
import { unavailable } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';

/** SQL that counts this transaction as an export until it ends. Its database does not matter. */
export function countedAsExport(installation: Installation): string {
  return `select pg_advisory_xact_lock_shared(hashtextextended('${nameOf(installation)}', 0))`;
}

/**
 * To be called in a transaction that is counted. Each one counts after it has been counted, so that two that
 * begin at the same moment never exceed the budget.
 *
 * @throws {Refusal} `unavailable` when the exports use more than a third of their login's connections.
 */
export async function assertWithinBudget(sql: Sql, installation: Installation): Promise<void> {
  const [budget] = await sql<{ exceeded: boolean }>`
    select count(*) > greatest(1, (
      select rolconnlimit / 3 from pg_roles where rolname = ${installation.roles.migrate}
    )) as exceeded
    from pg_locks
    where locktype = 'advisory' and objsubid = 1
      and (classid::bigint << 32 | objid::bigint) = hashtextextended(${nameOf(installation)}, 0)`;
  if (budget?.exceeded !== false)
    throw unavailable('Too many tenants are exported; try again later');
}

/** Advisory locks belong to a database, but all of them are seen: another installation has another name. */
function nameOf(installation: Installation): string {
  return `kennel export of ${installation.mark()}`;
}
