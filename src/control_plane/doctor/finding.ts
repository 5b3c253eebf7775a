/** What the doctor has found: which check, how grave, where, and the statement that fixes it. */

import type { Kind } from './catalog.ts';

/** Checks that look for one thing, and how grave it is. */
const severities = {
  role_overprivileged: 'error',
  role_member: 'error',
  role_lent: 'error',
  role_owns: 'error',
  role_may_log_in: 'error',
  row_security_off: 'error',
  row_security_not_forced: 'error',
  tenant_id_wrong: 'error',
  unique_key_without_tenant: 'error',
  foreign_key_without_tenant: 'error',
  grant_stray: 'error',
  statistics_kept: 'error',
  view_without_invoker: 'error',
  materialized_view: 'error',
  foreign_table: 'error',
  security_definer_reachable: 'error',
  seal_key_foreign: 'error',
  setting_unsafe: 'error',
  setting_wrong: 'error',
  session_refused: 'error',
  parameter_granted: 'error',
  schema_writable: 'error',
  table_in_public: 'error',
  database_writable: 'error',
  database_temporary: 'error',
  database_open: 'error',
  tenant_place_missing: 'error',
  tenant_version_outside: 'error',
  database_unreachable: 'error',
  encoding_wrong: 'error',
  schema_differs: 'error',
  schema_newer: 'warning',
  seal_rotation_open: 'warning',
  connections_unlimited: 'warning',
  setting_unknown: 'warning',
  server_outdated: 'warning',
  activity_visible: 'warning',
  errors_logged: 'warning',
  statements_visible: 'warning',
  statements_logged: 'warning',
  large_objects_allowed: 'warning',
  advisory_locks_allowed: 'warning',
  announcements_allowed: 'warning',
  set_config_allowed: 'warning',
  query_texts_allowed: 'warning',
  session_control_allowed: 'warning',
  log_messages_allowed: 'warning',
  plpgsql_allowed: 'warning',
  foreign_database_open: 'warning',
} as const;

/** How the catalog differs from what it must be. */
type Difference = `${Kind}_${'missing' | 'changed' | 'extra'}`;

export type Check = keyof typeof severities | Difference;

/** Of what belongs to the whole database, or to people who are none of ours. */
const mildDifferences: ReadonlySet<Check> = new Set([
  'stranger_grant_extra',
  'event_trigger_extra',
  'publication_extra',
  'cast_extra',
]);

function gradeOf(check: Check): Finding['severity'] {
  if (isSingle(check)) return severities[check];
  return mildDifferences.has(check) ? 'warning' : 'error';
}

function isSingle(check: Check): check is keyof typeof severities {
  return check in severities;
}

/** The check of that name, if what it finds is a warning. */
export function warningNamed(name: string): Check | null {
  const checks: Check[] = [...mildDifferences, ...Object.keys(severities).filter(isWarning)];
  return checks.find((check) => check === name) ?? null;
}

function isWarning(name: string): name is keyof typeof severities {
  return Object.entries(severities).some(
    ([check, severity]) => check === name && severity === 'warning',
  );
}

export type Finding = {
  check: Check;
  /** An error says that something is broken; a warning, that one wall is thinner than it could be. */
  severity: 'error' | 'warning';
  where: string;
  /** One plain sentence without a full stop. */
  what: string;
  /** SQL for a superuser of `database`, or a shell command; null when it takes a decision. */
  fix: string | null;
  database: string;
};

/** Errors by which somebody is not served, or gets another answer, and nobody sees more. */
const onlyRefuse: ReadonlySet<Check> = new Set([
  'tenant_place_missing',
  'tenant_version_outside',
  'database_unreachable',
  'encoding_wrong',
  'table_missing',
  'column_missing',
  'index_missing',
  'grant_missing',
  'setting_wrong',
]);

export function finding(check: Check, facts: Omit<Finding, 'check' | 'severity'>): Finding {
  return { check, severity: gradeOf(check), ...facts };
}

/** Whether tenants would not be kept apart. */
export function breaksIsolation({ check, severity }: Finding): boolean {
  return severity === 'error' && !onlyRefuse.has(check);
}

/** The finding in one line, with its fix. */
export function lineOf({ check, where, what, fix }: Finding): string {
  return `${check}: ${where}: ${what}${fix === null ? '' : `; fix: ${oneLine(fix)}`}`;
}

/** No text in a statement of ours has a line end that belongs to it, and comments are left out. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** A name in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A name in a statement, without quotes where it needs none. */
export function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name);
}
