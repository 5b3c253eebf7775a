/** What may be wrong in any database of ours beside its schemas: rights, views and functions of others. */
import type { Sql } from '../../kernel/ports.ts';
import { examineSchemas } from './databases.ts';
import { type Examined, schemasOf } from './examined.ts';
import type { Finding } from './finding.ts';
import { examineDefiners, examineSpares } from './functions.ts';
import { examineLanguages } from './languages.ts';
import { examineOwners } from './roles.ts';
import { examineStatements } from './statements.ts';
import { examineStatistics } from './statistics.ts';
import { examineStrayGrants } from './stray_grants.ts';
import { examineViews } from './views.ts';

/** @param tables names of tenants' tables. */
export async function examineGeneral(
  sql: Sql,
  examined: Examined,
  tables: readonly string[],
): Promise<Finding[]> {
  const { database, serving } = examined;
  const ours = new Set(schemasOf(examined));
  const beside = { database, serving, isAsked: (schema: string) => !ours.has(schema) };
  return [
    ...(await examineStrayGrants(sql, examined)),
    ...(await examineViews(sql, beside)),
    ...(await examineDefiners(sql, beside)),
    ...(await examineSpares(sql, examined)),
    ...(await examineLanguages(sql, examined)),
    ...(await examineSchemas(sql, examined, tables)),
    ...(await examineOwners(sql, examined)),
    ...(await examineStatistics(sql, examined)),
    ...(await examineStatements(sql, examined)),
  ];
}
