/**
 * Variables that may be given as files, as containers hand over secrets: `ADMIN_TOKEN_FILE` names a
 * file with the value of `ADMIN_TOKEN`, so that it shows in no list of processes.
 */
import { readFileSync } from 'node:fs';

type Variables = Readonly<Record<string, string>>;

const names = ['DATABASE_URL', 'REDIS_URL', 'SMTP_URL', 'ADMIN_TOKEN', 'METRICS_TOKEN'];

/**
 * The variables with those that files hold, and a line for each file that cannot be used. A line never
 * names the file: the secret itself may have been put in its place.
 */
export function withFiles(given: Variables): { variables: Variables; problems: string[] } {
  const variables = { ...given };
  const problems: string[] = [];
  for (const name of names) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    const read = given[name] === undefined ? valueIn(file) : `expected it without ${name}`;
    if (typeof read === 'string') problems.push(`Cannot use ${name}_FILE: ${read}`);
    else variables[name] = read.value;
  }
  return { variables, problems };
}

/** The value, or what is wrong. An empty file is no unset variable: that would open another database. */
function valueIn(file: string): { value: string } | string {
  try {
    const value = readFileSync(file, 'utf8').trim();
    return value === '' ? 'expected a file that is not empty' : { value };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    return `expected a file that can be read${code}`;
  }
}
