/** A finding of the doctor: the check, its severity, the place, and the statement that fixes it. */

/** The severities of the checks that are code. The files of `sql/doctor` contain their own. */
const severities = {
  connections_unlimited: 'warning',
  database_unreachable: 'error',
  schema_differs: 'error',
  schema_newer: 'warning',
  seal_key_foreign: 'error',
  seal_rotation_open: 'warning',
  session_refused: 'error',
} as const;

/** A difference between the catalog and the reference. */
type Difference = `${string}_${'missing' | 'changed' | 'extra'}`;

type CodedCheck = keyof typeof severities | Difference;

/** Differences in objects of the whole database, or in the rights of roles that are not ours. */
const mildDifferences: ReadonlySet<string> = new Set<Difference>([
  'stranger_grant_extra',
  'event_trigger_extra',
  'publication_extra',
  'cast_extra',
]);

function severityOf(check: CodedCheck): Finding['severity'] {
  if (isSingle(check)) return severities[check];
  return mildDifferences.has(check) ? 'warning' : 'error';
}

function isSingle(check: CodedCheck): check is keyof typeof severities {
  return check in severities;
}

/** Returns the checks in code that only warn. */
export function codedWarnings(): string[] {
  const singles = Object.entries(severities).filter(([, severity]) => severity === 'warning');
  return [...mildDifferences, ...singles.map(([check]) => check)];
}

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

/** Errors that make requests fail or change their results, but show no tenant another tenant's rows. */
const onlyRefuse: ReadonlySet<string> = new Set([
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

export function finding(check: CodedCheck, facts: Omit<Finding, 'check' | 'severity'>): Finding {
  return { check, severity: severityOf(check), ...facts };
}

/** Whether it is an error that may let tenants see or change each other's rows. */
export function breaksIsolation({ check, severity }: Finding): boolean {
  return severity === 'error' && !onlyRefuse.has(check);
}

/** The finding in one line, with its fix. */
export function lineOf({ check, where, what, fix }: Finding): string {
  return `${check}: ${where}: ${what}${fix === null ? '' : `; fix: ${oneLine(fix)}`}`;
}

/** Joins the lines of a statement. Our statements have no comments, and no line ends in their strings. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** Returns a name with quotes, for a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Returns a name for a statement, with quotes only if it needs them. */
export function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoted(name);
}
