/**
 * Variables that may be given as files, as is usual for secrets of containers: `ADMIN_TOKEN_FILE` names a
 * file with the value of `ADMIN_TOKEN`, which is then not visible in the process list.
 */
import { readFileSync } from 'node:fs';

type Variables = Readonly<Record<string, string>>;

const names = ['DATABASE_URL', 'REDIS_URL', 'SMTP_URL', 'ADMIN_TOKEN', 'METRICS_TOKEN'];

/**
 * The variables, including those from files, and a line for each file that cannot be used. No line
 * contains the path, because someone may have set the secret itself instead of a path.
 */
export function withFiles(given: Variables): { variables: Variables; problems: string[] } {
  const variables = { ...given };
  const problems: string[] = [];
  for (const name of names) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    const read =
      given[name] === undefined ? valueIn(file) : `${name} is set too; unset one of them`;
    if (typeof read === 'string') problems.push(`Cannot use ${name}_FILE: ${read}`);
    else variables[name] = read.value;
  }
  return { variables, problems };
}

/**
 * The value, or a text that describes the error. An empty file is an error, because without
 * `DATABASE_URL` Kennel would silently use the embedded database.
 */
function valueIn(file: string): { value: string } | string {
  try {
    const value = readFileSync(file, 'utf8').trim();
    return value === '' ? 'expected a file that is not empty' : { value };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    return `expected a file that can be read${code}`;
  }
}
