/**
 * The settings at the start of each session. They are parameters of the StartupMessage, which override the
 * defaults of the server, the database and the login, and which `reset all` restores.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-client.html
 */

/** Limits that the server enforces, in milliseconds. */
export type SessionTimeouts = {
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
};

export type SessionOptions = SessionTimeouts & {
  /**
   * Whether statements look rows up by their keys, and read no whole table if there is an index. A cached plan is
   * not made again when a table grows: one from the time when it was small would read the rows of all tenants.
   */
  byKey?: boolean;
};

/**
 * A setting whose value proves that the settings have arrived. A pooler may drop those that it does not
 * know, and a session without limits must not be used.
 */
export const settingsMark = { name: 'kennel.settings', value: 'pinned' } as const;

/** Values have the same meaning and the same form on every server. */
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
  // With more than 0, some index scans return a random part of the rows.
  gin_fuzzy_search_limit: '0',
  row_security: 'on',
  client_min_messages: 'warning',
  // Names without a schema belong to the catalog, and no other table or operator can shadow them.
  search_path: 'pg_catalog, pg_temp',
  role: 'none',
  check_function_bodies: 'on',
  ignore_system_indexes: 'off',
  default_table_access_method: 'heap',
  default_tablespace: '',
  temp_tablespaces: '',
} as const;

/** Side effects of a session and its statements. */
const sideEffects = {
  local_preload_libraries: '',
  exit_on_error: 'off',
  // It takes half a second to compile some queries of the catalog that run in milliseconds.
  jit: 'off',
  post_auth_delay: '0',
  // A machine that has vanished keeps its locks until Postgres notices: an idle session within half a minute,
  // instead of two hours.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  // Parameters of statements contain seals, which must not reach the server's log.
  debug_print_parse: 'off',
  debug_print_rewritten: 'off',
  debug_print_plan: 'off',
  log_parameter_max_length_on_error: '0',
} as const;

/** The mode of implicit transactions: a statement in an envelope has no `begin` that could set it. */
const transactions = {
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
} as const;

/** Returns the names of the settings at the start of every session. */
export function pinnedSettings(): string[] {
  return Object.keys(
    sessionSettings({ statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 }),
  );
}

/** Returns the names and values for the StartupMessage. */
export function sessionSettings({
  byKey = false,
  ...limits
}: SessionOptions): Readonly<Record<string, string>> {
  return {
    ...meanings,
    ...sideEffects,
    ...transactions,
    enable_seqscan: byKey ? 'off' : 'on',
    statement_timeout: String(limits.statementTimeoutMs),
    lock_timeout: String(limits.lockTimeoutMs),
    idle_in_transaction_session_timeout: String(limits.idleInTransactionTimeoutMs),
    // An idle connection waits for its next call, and the listener for the next announcement.
    idle_session_timeout: '0',
    [settingsMark.name]: settingsMark.value,
  };
}
