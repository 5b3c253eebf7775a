/**
 * Rules for tenants' tables that the files of `sql/tenant` must follow. They are checked on the reference
 * alone, because each tenant's tables are compared with it.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';
import type { Finding } from './finding.ts';
import { arrayOf, runChecks } from './sql_checks.ts';

/** Returns the faults of the files, without the name of the reference's schema. */
export async function examineRules(
  sql: Sql,
  schema: string,
  { database, roles }: Pick<Installation, 'database' | 'roles'>,
): Promise<Finding[]> {
  const variables = { schema, serving: arrayOf([roles.app]), schemas: arrayOf([]) };
  const checks = ['each placement', 'views.sql', 'functions.sql'] as const;
  const findings = await runChecks(sql, checks, variables);
  const unplaced = (text: string) => text.replaceAll(`${schema}.`, '');
  const place = ` of database ${database}`;
  return findings
    .filter(({ where }) => where.includes(`${schema}.`))
    .map(({ where, what, ...finding }) => ({
      ...finding,
      where: unplaced(where).replace(place, ', as the files of sql/tenant make it'),
      what: unplaced(what),
      fix: null,
    }));
}
