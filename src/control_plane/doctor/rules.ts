/**
 * What must hold of tenants' tables whatever the files of `sql/tenant` say. Asked of the reference alone:
 * each tenant's tables are then compared with that.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, quoted } from './finding.ts';
import { arrayOf, runChecks } from './sql_checks.ts';

/** The schema of the reference, and the role that works on it. */
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
