/** What the doctor has found: which check, how severe, where, and the statement that fixes it. */

/** Checks that are code, and how severe they are; the files of `sql/doctor` say it of theirs. */
const severities = {
  connections_unlimited: 'warning',
  database_unreachable: 'error',
  schema_differs: 'error',
  schema_newer: 'warning',
  seal_key_foreign: 'error',
  seal_rotation_open: 'warning',
  session_refused: 'error',
} as const;

/** How the catalog differs from what it must be. */
type Difference = `${string}_${'missing' | 'changed' | 'extra'}`;

type CodedCheck = keyof typeof severities | Difference;

/** Of what belongs to the whole database, or to people who are none of ours. */
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

/** Warnings of checks that are code. */
export function codedWarnings(): string[] {
  const singles = Object.entries(severities).filter(([, severity]) => severity === 'warning');
  return [...mildDifferences, ...singles.map(([check]) => check)];
}

export type Finding = {
  check: string;
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
