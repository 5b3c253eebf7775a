/**
 * The settings that each of our sessions begins with. They are parameters of its start:
 * those come before what the server, the database or the login has for a default, and `reset all`
 * brings them back.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-client.html
 */

/** Limits that the server holds, in milliseconds. */
export type SessionTimeouts = {
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
};

/**
 * Its value says that the settings have arrived: a pooler may leave out what it does not know, and a
 * session without limits is not ours.
 */
export const settingsMark = { name: 'kennel.settings', value: 'pinned' } as const;

/** What is sent means, and what comes back is written, the same for every server. */
const meanings = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  array_nulls: 'on',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',
  // More than 0: some index scans answer with a random part of the rows.
  gin_fuzzy_search_limit: '0',
  row_security: 'on',
  client_min_messages: 'warning',
  // A name without a schema is the catalog's, and nobody's table or operator comes before it.
  search_path: 'pg_catalog, pg_temp',
  role: 'none',
  check_function_bodies: 'on',
  ignore_system_indexes: 'off',
  default_table_access_method: 'heap',
  default_tablespace: '',
  temp_tablespaces: '',
} as const;

/** What a session does beside its statements. */
const conduct = {
  local_preload_libraries: '',
  exit_on_error: 'off',
  post_auth_delay: '0',
  // Parameters of a statement carry seals; what shows them stays out of the server's log.
  debug_print_parse: 'off',
  debug_print_rewritten: 'off',
  debug_print_plan: 'off',
  log_parameter_max_length_on_error: '0',
} as const;

/** A statement in an envelope does not begin its transaction itself. */
const transactions = {
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
} as const;

/** The names of the settings that every session begins with. */
export function pinnedSettings(): string[] {
  return Object.keys(
    sessionSettings({ statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 }),
  );
}

/** Names and values, as a StartupMessage has them. */
export function sessionSettings(limits: SessionTimeouts): Readonly<Record<string, string>> {
  return {
    ...meanings,
    ...conduct,
    ...transactions,
    statement_timeout: String(limits.statementTimeoutMs),
    lock_timeout: String(limits.lockTimeoutMs),
    idle_in_transaction_session_timeout: String(limits.idleInTransactionTimeoutMs),
    // An idle connection waits for its next call, and the listener for the next announcement.
    idle_session_timeout: '0',
    [settingsMark.name]: settingsMark.value,
  };
}
