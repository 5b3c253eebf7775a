/**
 * What must hold of tenants' tables whatever the files of `sql/tenant` say. Asked of the reference alone:
 * each tenant's tables are then held against that.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, quoted } from './finding.ts';
import { examineDefiners } from './functions.ts';
import { examineKeys } from './keys.ts';
import { examinePolicies } from './policies.ts';
import { examineTables, readTenantTables } from './tables.ts';
import { examineViews } from './views.ts';

/** The schema of the reference, and who works on it. */
export type Ruled = { database: string; schema: string; role: string };

export async function examineRules(sql: Sql, ruled: Ruled): Promise<Finding[]> {
  const { database, schema, role } = ruled;
  const tables = await readTenantTables(sql, schema);
  const past = { database, serving: [role], isAsked: (name: string) => name === schema };
  const findings = [
    ...examineTables(tables, database),
    ...(await examinePolicies(sql, tables, database)),
    ...(await examineKeys(sql, tables, database)),
    ...(await examineViews(sql, past)),
    ...(await examineDefiners(sql, past)),
  ];
  const unplaced = (text: string) =>
    text.replaceAll(`${quoted(schema)}.`, '').replaceAll(`${schema}.`, '');
  return findings.map((finding) => ({
    ...finding,
    where: unplaced(finding.where).replace(
      ` of database ${database}`,
      ', as the files of sql/tenant make it',
    ),
    what: unplaced(finding.what),
    fix: null,
  }));
}
