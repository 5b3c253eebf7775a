/**
 * Rules for tenants' tables that the files of `sql/tenant` must follow. They are checked on the reference
 * alone, because each tenant's tables are compared with it.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, quoted } from './finding.ts';
import { arrayOf, runChecks } from './sql_checks.ts';

/** The schema of the reference, and the role of the statements there. */
export type Ruled = { database: string; schema: string; role: string };

export async function examineRules(
  sql: Sql,
  { database, schema, role }: Ruled,
): Promise<Finding[]> {
  const findings = await runChecks(sql, ['each placement', 'views.sql', 'functions.sql'], {
    ...{ schema, serving: arrayOf([role]), schemas: arrayOf([]) },
  });
  const names = [`${quoted(schema)}.`, `${schema}.`];
  const unplaced = (text: string) => names.reduce((left, name) => left.replaceAll(name, ''), text);
  return findings
    .filter(({ where }) => where.includes(`${schema}.`))
    .map((finding) => ({
      ...finding,
      where: unplaced(finding.where).replace(
        ` of database ${database}`,
        ', as the files of sql/tenant make it',
      ),
      what: unplaced(finding.what),
      fix: null,
    }));
}
