/**
 * Every setting that a session can have (context `user`, `backend` or `superuser` of `pg_settings`,
 * Postgres 15 to 18), and what Kennel does about it. A test holds the table against the server that it runs
 * on.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config.html
 */
import { pinnedSettings } from '../../postgres/session_settings.ts';

/**
 * - `pinned`: each session of ours begins with a value of its own, whatever anybody has for a default.
 * - `decisive`: rows, rights or libraries hang on it, and only a superuser may set it: an error where a
 *   session has another value than Postgres by itself.
 * - `answering`: statements would fail or end; an error too, and nobody sees more.
 * - `revealing`: puts statements where others read them; `statements.ts` knows which values do.
 * - `harmless`: changes how long something takes, what is kept of it, or what is sent over the wire.
 */
export type SettingClass = (typeof classNames)[number];

const classNames = ['pinned', 'decisive', 'answering', 'revealing', 'harmless'] as const;

export const settingClasses: Readonly<Record<SettingClass, readonly string[]>> = {
  pinned: [...pinnedSettings(), 'application_name'],
  decisive: words(`
    session_authorization session_replication_role lo_compat_privileges allow_system_table_mods
    zero_damaged_pages ignore_checksum_failure session_preload_libraries dynamic_library_path
    extension_control_path extension_destdir`),
  answering: words('transaction_timeout restrict_nonsystem_relation_kind'),
  revealing: words(`
    track_activities log_statement log_min_duration_statement log_min_duration_sample
    log_transaction_sample_rate`),
  harmless: words(`
    enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge
    enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort
    enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin
    enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
    enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate
    enable_self_join_elimination enable_seqscan enable_sort enable_tidscan

    cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost effective_cache_size jit_above_cost
    jit_inline_above_cost jit_optimize_above_cost min_parallel_index_scan_size
    min_parallel_table_scan_size parallel_setup_cost parallel_tuple_cost random_page_cost seq_page_cost

    geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
    constraint_exclusion cursor_tuple_fraction default_statistics_target from_collapse_limit
    join_collapse_limit plan_cache_mode recursive_worktable_factor debug_parallel_query
    force_parallel_mode parallel_leader_participation max_parallel_workers
    max_parallel_workers_per_gather max_parallel_maintenance_workers
    jit jit_debugging_support jit_dump_bitcode jit_expressions jit_profiling_support
    jit_tuple_deforming

    work_mem hash_mem_multiplier maintenance_work_mem logical_decoding_work_mem temp_buffers
    max_stack_depth vacuum_buffer_usage_limit temp_file_limit file_copy_method backend_flush_after
    effective_io_concurrency maintenance_io_concurrency io_combine_limit synchronize_seqscans
    gin_pending_list_limit default_toast_compression stats_fetch_consistency

    vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit
    vacuum_cost_page_miss vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age
    vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age
    vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate

    synchronous_commit commit_delay commit_siblings wal_compression wal_consistency_checking
    wal_init_zero wal_recycle wal_sender_timeout wal_skip_threshold deadlock_timeout

    transaction_deferrable transaction_isolation transaction_read_only
    default_text_search_config icu_validation_level lc_messages lc_monetary lc_numeric lc_time
    escape_string_warning createrole_self_grant event_triggers md5_password_warnings
    password_encryption scram_iterations client_connection_check_interval tcp_keepalives_count
    tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout update_process_title

    allow_in_place_tablespaces backtrace_functions debug_discard_caches
    debug_logical_replication_streaming debug_pretty_print trace_notify trace_sort
    track_cost_delay_timing track_counts track_functions track_io_timing track_wal_io_timing
    compute_query_id log_connections log_disconnections log_duration log_error_verbosity
    log_executor_stats log_lock_failures log_lock_waits log_min_error_statement log_min_messages
    log_parameter_max_length log_parser_stats log_planner_stats log_replication_commands
    log_statement_sample_rate log_statement_stats log_temp_files`),
};

const classOf = new Map(
  classNames.flatMap((name) =>
    settingClasses[name].map((setting) => [setting.toLowerCase(), name] as const),
  ),
);

/** Null for one that the table does not have: an extension's, or that of a newer Postgres. */
export function settingClass(name: string): SettingClass | null {
  return classOf.get(name.toLowerCase()) ?? null;
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
