/**
 * A database URL as the environment of psql. With the URL as an argument `-d NAME` would take the place of
 * all of it, and everybody could read the password in the list of processes.
 *
 * Source: https://www.postgresql.org/docs/current/libpq-envars.html
 */
import { keywordsIn } from '../postgres/connection_url.ts';

/** Keywords for which libpq has no variable, or one that is named otherwise. */
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
 * A URL as libpq's variables.
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

/** Of the user's own environment: all that would lead elsewhere, or there in another way. */
export function withoutConnection(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const kept = Object.entries(environment).filter(([name]) => !leads.test(name));
  return Object.fromEntries(kept);
}

const leads =
  /^PG(HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE|SSL\w*|REQUIRE\w*|CHANNELBINDING|GSS\w*|KRB\w*|TARGETSESSIONATTRS|LOADBALANCEHOSTS|CONNECT_TIMEOUT|OPTIONS|\w+PROTOCOL\w*)$/;

function compact(keyword: string): string {
  return keyword.replaceAll('_', '').toUpperCase();
}
