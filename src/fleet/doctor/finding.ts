/** What the doctor has found: which check, how grave, where, and the statement that mends it. */

/** Every check, and how grave it is when it finds something. */
const grades = {
  role_mighty: 'error',
  role_member: 'error',
  role_owns: 'error',
  role_may_log_in: 'error',
  row_security_off: 'error',
  row_security_not_forced: 'error',
  tenant_id_wrong: 'error',
  policy_missing: 'error',
  policy_changed: 'error',
  policy_extra: 'error',
  unique_key_without_tenant: 'error',
  foreign_key_without_tenant: 'error',
  grant_excessive: 'error',
  grant_stray: 'error',
  default_grant: 'error',
  statistics_kept: 'error',
  trigger_extra: 'error',
  trigger_missing: 'error',
  trigger_off: 'error',
  rule_extra: 'error',
  table_inherits: 'error',
  view_without_invoker: 'error',
  materialized_view: 'error',
  foreign_table: 'error',
  security_definer_reachable: 'error',
  seal_check_changed: 'error',
  kernel_outdated: 'error',
  seal_key_foreign: 'error',
  control_function_changed: 'error',
  setting_grave: 'error',
  parameter_granted: 'error',
  schema_writable: 'error',
  table_in_public: 'error',
  database_writable: 'error',
  database_temporary: 'error',
  database_open: 'error',
  tenant_place_missing: 'error',
  tenant_version_outside: 'error',
  database_unreachable: 'error',
  seal_rotation_open: 'warning',
  connections_unlimited: 'warning',
  setting_unknown: 'warning',
  server_outdated: 'warning',
  activity_shown: 'warning',
  statements_shown: 'warning',
  statements_logged: 'warning',
  large_objects_allowed: 'warning',
  advisory_locks_allowed: 'warning',
  announcements_allowed: 'warning',
  set_config_allowed: 'warning',
  query_texts_allowed: 'warning',
  session_control_allowed: 'warning',
  log_messages_allowed: 'warning',
  blocks_allowed: 'warning',
  foreign_database_open: 'warning',
} as const;

export type Check = keyof typeof grades;

export type Finding = {
  check: Check;
  /** An error says that something is broken; a warning, that one wall is thinner than it could be. */
  grade: 'error' | 'warning';
  where: string;
  /** One plain sentence without a full stop. */
  what: string;
  /** SQL for a superuser of `database`, or a shell command; null when it takes a decision. */
  mend: string | null;
  database: string;
};

/** Errors of one tenant alone: it cannot be served, and nobody else is worse off. */
const concernOneTenant: ReadonlySet<Check> = new Set([
  'tenant_place_missing',
  'tenant_version_outside',
  'database_unreachable',
  'kernel_outdated',
]);

/** What older versions of ours left as Postgres makes it, or made otherwise. */
const old: ReadonlySet<Check> = new Set([
  'statistics_kept',
  'kernel_outdated',
  'large_objects_allowed',
  'advisory_locks_allowed',
  'announcements_allowed',
  'set_config_allowed',
  'query_texts_allowed',
  'session_control_allowed',
  'log_messages_allowed',
  'blocks_allowed',
  'schema_writable',
]);

export function finding(check: Check, facts: Omit<Finding, 'check' | 'grade'>): Finding {
  return { check, grade: grades[check], ...facts };
}

/** Whether tenants would not be kept apart. */
export function breaksIsolation({ check, grade }: Finding): boolean {
  return grade === 'error' && !concernOneTenant.has(check);
}

/** Whether a server may mend it as it starts. */
export function isOld({ check }: Finding): boolean {
  return old.has(check);
}

/** The finding in one line, with its mend. */
export function lineOf({ check, where, what, mend }: Finding): string {
  return `${check}: ${where}: ${what}${mend === null ? '' : `; mend: ${oneLine(mend)}`}`;
}

/** No statement of ours has a comment or a text that a line end belongs to. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** A name in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
