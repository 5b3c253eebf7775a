/** Examines one of our databases, by the files of `sql/doctor` and by the checks that are code. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { Fleet } from '../fleet.ts';
import type { Finding } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';
import { forTenant, type Reference, type References } from './reference.ts';
import { type ExpectedSchema, examineSchemas } from './schemas.ts';
import { examineSeals, fencedPlacement } from './seals.ts';
import { runChecks, type Scope, type Variables } from './sql_checks.ts';
import { variablesOf } from './variables.ts';

type LookOptions = {
  fleet: Fleet;
  references: References;
  /** The secrets that seal keys may be derived from. */
  accepted: readonly Buffer[];
};

/** Objects of a whole database, such as event triggers: none is ours. */
const nothing: Reference = { facts: [], digest: '', findings: [] };

/** @param sql of a transaction as the owner; the last check may set the role to the administrator. */
export async function examineDatabase(
  sql: Sql,
  examined: ExaminedDatabase,
  options: LookOptions,
): Promise<Finding[]> {
  const variables = variablesOf(examined, options.fleet);
  const dedicated = await fencedPlacement(sql, examined, options.accepted);
  const present = { ...examined, dedicated };
  const { digests, findings } = await examineSeals(sql, present, options.accepted);
  const expected = expectedSchemas(present, digests, options);
  return [
    ...(examined.isMain
      ? await examineServer(sql, variables, ['the main database', 'each database'])
      : await runChecks(sql, ['each database'], variables)),
    ...findings,
    ...(await examineSchemas(sql, expected, { database: examined.name, variables })),
    ...(await examineStatistics(sql, variables)),
  ];
}

/** Checks a whole server. @param more further checks, for the database of `sql`. */
export async function examineServer(
  sql: Sql,
  variables: Variables,
  more: readonly Scope[] = [],
): Promise<Finding[]> {
  const [server = {}] = await sql<Record<string, string>>`
    select current_setting('server_version_num') as "SERVER_VERSION_NUM",
      current_setting('server_version') as "SERVER_VERSION_NAME"`;
  return runChecks(sql, ['each server', ...more], { ...variables, ...server });
}

/** Lists our schemas in a database, and the objects of the whole database. */
function expectedSchemas(
  { dedicated, isMain, placements }: ExaminedDatabase,
  digests: readonly string[],
  { fleet, references }: LookOptions,
): ExpectedSchema[] {
  const { kernel, control, tenant } = fleet.sql;
  const ofKernel = async () =>
    dedicated
      ? forTenant(await references.of('dedicated kernel'), dedicated, digests)
      : references.of(isMain ? 'main kernel' : 'kernel');
  const common = (schema: string, newest: number, reference: ExpectedSchema['reference']) => {
    return { schema, version: 0, newest, isPlacement: false, reference };
  };
  return [
    common(schemas.kernel, kernel.length, ofKernel),
    ...(isMain ? [common(schemas.control, control.length, () => references.of('control'))] : []),
    common('', 0, async () => nothing),
    ...placements.map(({ placement: { schema }, version }) => ({
      ...{ schema, version, newest: tenant.length, isPlacement: true },
      reference: (present: number) => references.of(present),
    })),
  ];
}

/** Only a superuser may read pg_statistic. Returns no findings if the administrator may not. */
async function examineStatistics(sql: Sql, variables: Variables): Promise<Finding[]> {
  const [reader] = await sql<{ role: string | null }>`
    select case when has_table_privilege(session_user, 'pg_statistic', 'select')
      then set_config('role', 'none', true) end as role`;
  return reader?.role ? runChecks(sql, ['each database, as a superuser'], variables) : [];
}
