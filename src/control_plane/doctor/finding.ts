/** A finding of the doctor: the check, its severity, the place, and the statement that fixes it. */
import { printable } from '../../kernel/printable_text.ts';
import { oneLine } from './one_line.ts';

export type Finding = {
  check: string;
  /** Error: something is broken. Warning: a protection is weaker than it could be. */
  severity: 'error' | 'warning';
  where: string;
  /** One plain sentence without a full stop. */
  what: string;
  /** SQL for a superuser in `database`, or a shell command; null if a person has to decide. */
  fix: string | null;
  database: string;
};

/** The checks in code that only warn. The files of `sql/doctor` contain the severities of their own. */
export const codedWarnings: ReadonlySet<string> = new Set([
  'schema_newer',
  'seal_rotation_open',
  // Differences in objects of the whole database, or in the rights of roles that are not ours.
  'stranger_grant_extra',
  // Neither of these shows rows, or changes results.
  'storage_changed',
  'index_added',
  'event_trigger_extra',
  'publication_extra',
  'cast_extra',
]);

/** Errors that make requests fail or change their results, but show no tenant another tenant's rows. */
const onlyRefuse: ReadonlySet<string> = new Set([
  'tenant_place_missing',
  'seal_key_missing',
  'login_unusable',
  'membership_missing',
  'tenant_version_outside',
  'database_unreachable',
  'server_unreachable',
  'encoding_wrong',
  'table_missing',
  'column_missing',
  'index_missing',
  'grant_missing',
  'setting_wrong',
  'fence_missing',
  'fence_wrong',
]);

/** A finding of a check that is code. */
export function finding(check: string, facts: Omit<Finding, 'check' | 'severity'>): Finding {
  return { check, severity: codedWarnings.has(check) ? 'warning' : 'error', ...facts };
}

/** Whether it is an error that may let tenants see or change each other's rows. */
export function breaksIsolation({ check, severity }: Finding): boolean {
  return severity === 'error' && !onlyRefuse.has(check);
}

/** The finding in one printable line, with its fix. */
export function findingLine({ check, where, what, fix }: Finding): string {
  const found = printable(`${check}: ${where}: ${what}`);
  return fix === null ? found : `${found}; fix: ${oneLine(fix)}`;
}

/** Returns a name for a statement, with quotes only if it needs them. */
export function readableIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
