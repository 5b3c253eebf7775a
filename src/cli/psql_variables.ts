/**
 * A database URL as the environment of psql. With the URL as an argument `-d NAME` would take the place of
 * all of it, and everybody could read the password in the list of processes.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-envars.html
 */

/** What a URL may say besides, and libpq has a variable for. */
const named = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'options'];

/** @example psqlVariables('postgres://me@%2Frun%2Fpg/db').PGHOST // '/run/pg' */
export function psqlVariables(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const variables: Record<string, string> = {
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    PGHOST: decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1'),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
  };
  for (const name of named) {
    const value = searchParams.get(name);
    if (value !== null) variables[`PG${name.toUpperCase()}`] = value;
  }
  return variables;
}
