/**
 * A database URL as environment variables for psql. If the URL were an argument, `-d NAME` would replace
 * all of it, and every user could read the password in the list of processes.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-envars.html
 */
import { keywordsIn } from '../postgres/connection_url.ts';

/** Keywords whose variable has another name (null: libpq has none). */
const names: Readonly<Record<string, string | null>> = {
  dbname: 'PGDATABASE',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  channel_binding: 'PGCHANNELBINDING',
  sslpassword: null,
  keepalives: null,
  keepalives_idle: null,
  keepalives_interval: null,
  keepalives_count: null,
  tcp_user_timeout: null,
  fallback_application_name: null,
  application_name: 'PGAPPNAME',
  client_encoding: 'PGCLIENTENCODING',
};

/**
 * Returns a URL as libpq's variables.
 *
 * @example psqlVariables('postgres://me@%2Frun%2Fpg/db').PGHOST // '/run/pg'
 */
export function psqlVariables(url: string): Record<string, string> {
  const pairs = Object.entries(keywordsIn(url)).flatMap(([keyword, value]) => {
    const name = names[keyword] === undefined ? `PG${compact(keyword)}` : names[keyword];
    return name ? [[name, value]] : [];
  });
  return Object.fromEntries(pairs);
}

/** Returns the environment without variables that would change the connection. */
export function withoutConnection(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const kept = Object.entries(environment).filter(([name]) => !connectionVariable.test(name));
  return Object.fromEntries(kept);
}

const connectionVariable =
  /^PG(HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE|SSL\w*|REQUIRE\w*|CHANNELBINDING|GSS\w*|KRB\w*|TARGETSESSIONATTRS|LOADBALANCEHOSTS|CONNECT_TIMEOUT|OPTIONS|\w+PROTOCOL\w*)$/;

function compact(keyword: string): string {
  return keyword.replaceAll('_', '').toUpperCase();
}
