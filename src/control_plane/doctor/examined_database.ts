/** Examines one of our databases, by the files of `sql/doctor` and by the checks that are code. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { noSchema } from './catalog.ts';
import { examineConnectionLimits } from './connection_limits.ts';
import { examineDedicatedContext } from './dedicated_context.ts';
import type { Finding } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';
import { examineSchema, factsOf, readSchemas, type Seen } from './places.ts';
import type { References } from './reference.ts';
import { examineSealKeys } from './seals.ts';
import { arrayOf, runChecks, settingClasses, type Variables } from './sql_checks.ts';

export type Look = { findings: Finding[]; seen: Seen };

export type LookOptions = {
  fleet: Fleet;
  references: References;
  /** The secrets that seal keys may be derived from. */
  accepted: readonly Buffer[];
};

/** @param sql of a transaction as the owner; the last check may set the role to the administrator. */
export async function lookAround(
  sql: Sql,
  examined: ExaminedDatabase,
  options: LookOptions,
): Promise<Look> {
  const { fleet, references } = options;
  const seen = await readSchemas(sql, examined, options);
  const variables = await variablesOf(examined, fleet, references);
  const { control: expected } = await references.kernel();
  const control = { schema: schemas.control, expected, newest: fleet.sql.control.length };
  const findings = [
    ...(examined.isMain
      ? await examineServer(sql, examined, { fleet, variables })
      : await runChecks(sql, ['each database'], variables)),
    ...(await examineKernel(sql, examined, { ...options, seen })),
    ...(examined.isMain ? examineSchema(seen, examined, control) : []),
    ...examineSchema(seen, examined, { schema: noSchema, expected: [], newest: 0 }),
    ...(await examineStatistics(sql, variables)),
  ];
  return { findings, seen };
}

/** Checks the main database and the whole server. */
async function examineServer(
  sql: Sql,
  examined: ExaminedDatabase,
  { fleet, variables }: { fleet: Fleet; variables: Variables },
): Promise<Finding[]> {
  const [server = {}] = await sql<Record<string, string>>`
    select current_setting('server_version_num') as "SERVER_VERSION_NUM",
      current_setting('server_version') as "SERVER_VERSION_NAME"`;
  const scopes = ['the main database', 'each database'] as const;
  return [
    ...(await runChecks(sql, scopes, { ...variables, ...server })),
    ...(await examineConnectionLimits(sql, fleet.installation, examined)),
  ];
}

/** Checks the schema `kernel`: `kernel.tenant()`, and the contexts that it accepts. */
async function examineKernel(
  sql: Sql,
  examined: ExaminedDatabase,
  { fleet, references, accepted, seen }: LookOptions & { seen: Seen },
): Promise<Finding[]> {
  const { dedicated, isMain, name } = examined;
  const reference = await references.kernel();
  if (dedicated) {
    const facts = factsOf(seen, schemas.kernel);
    const examine = (place: DedicatedPlacement) =>
      examineDedicatedContext(facts, { place, reference, accepted });
    const findings = examine(dedicated);
    const mayBeFenced = examined.placements.some(({ capture }) => capture !== null);
    if (findings.length === 0 || !mayBeFenced) return findings;
    return examine({ ...dedicated, generation: dedicated.generation + 1 });
  }
  // The role of the control schema has no rights in other databases.
  const { account } = fleet.installation.roles;
  const expected = reference.kernel.filter(
    ({ object }) => isMain || !object.startsWith(`rights of ${account} on `),
  );
  const newest = fleet.sql.kernel.length;
  return [
    ...examineSchema(seen, examined, { schema: schemas.kernel, expected, newest }),
    ...(await examineSealKeys(sql, name, accepted)),
  ];
}

/** Only a superuser may read pg_statistic. Returns no findings if the administrator may not. */
async function examineStatistics(sql: Sql, variables: Variables): Promise<Finding[]> {
  const [reader] = await sql<{ role: string | null }>`
    select case when has_table_privilege(session_user, 'pg_statistic', 'select')
      then set_config('role', 'none', true) end as role`;
  return reader?.role ? runChecks(sql, ['each database, as a superuser'], variables) : [];
}

/** Returns the variables of the files of `sql/doctor` for one database. */
export async function variablesOf(
  { app, contextLogin, serving, ours, schemas: own, known }: ExaminedDatabase,
  { installation, sql, transactionTimeoutMs }: Fleet,
  references: References,
): Promise<Variables> {
  const { roles } = installation;
  const newest = sql.tenant.length;
  const { tables } = await references.place(newest);
  const placements = known.map(({ whose, active, placement }) => {
    const { database, schema, role, login } = placement;
    return { whose, active, database, schema, role, login };
  });
  return {
    ...{ ...roles, app, context_login: contextLogin ?? '' },
    ...{ serving: arrayOf(serving), ours: arrayOf(ours) },
    ...{ schemas: arrayOf(own), tables: arrayOf(tables) },
    placements: JSON.stringify(placements),
    moving: arrayOf(known.flatMap(({ capture }) => capture ?? [])),
    newest: `${newest}`,
    limit: `${transactionTimeoutMs}`,
    setting_classes: await settingClasses(),
  };
}
