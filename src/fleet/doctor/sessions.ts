/**
 * Settings that sessions of ours really have: asked of a session that serves, whatever the server, the
 * database, the login or the URL says. What decides on rows, rights or answers must be as Postgres has it
 * by itself, or as Kennel sets it.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';
import type { LanePool } from '../../postgres/lane_pool.ts';
import { fleetWork } from '../fleet.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';
import { gravityOf, quotedSetting } from './settings.ts';

/** The lanes that serve: their sessions begin as those of requests do. */
export type Pools = { serving: LanePool; control: LanePool };

type Had = { name: string; setting: string; source: string; plain: string };

/** What Kennel has otherwise than Postgres by itself, or what changes nothing that we do. */
const fine: Readonly<Record<string, RegExp>> = {
  timezone: /^(UTC|Etc\/UTC)$/,
  client_encoding: /^UTF8$/,
  application_name: /^/,
  // As text they read back the same numbers from 1 on.
  extra_float_digits: /^[1-3]$/,
};

const harmless =
  /^(lc_\w+|default_text_search_config|client_min_messages|timezone_abbreviations|shared_preload_libraries|jit\w*|default_toast_compression|default_tablespace|temp_tablespaces|vacuum_\w+|gin_\w+|trace_\w+|icu_validation_level|createrole_self_grant|idle_session_timeout|transaction_timeout|allow_alter_system|synchronize_seqscans|wal_consistency_checking|kennel\.tenant)$/i;

const timeouts = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];

/** Those that change what a statement means, but neither whose rows it sees nor whose rights it has. */
const onlyAnswers =
  /^(datestyle|intervalstyle|timezone|client_encoding|bytea_output|extra_float_digits|array_nulls|xml\w+|default_transaction_\w+|transaction_\w+|\w+_timeout|exit_on_error)$/i;

/** @param longestMs of each timeout that a session has. */
export async function examineSessions(
  { database, roles, shared, controlTarget }: Installation,
  { serving, control }: Pools,
  longestMs: number,
): Promise<Finding[]> {
  const sessions = [
    { role: roles.serve, pool: serving, target: shared.target },
    { role: roles.control, pool: control, target: controlTarget },
  ];
  const found = sessions.map(async ({ role, pool, target }) => {
    try {
      const had = await pool.use(target, fleetWork, (lane) =>
        readSettings((text, ...values) => lane.plain(text, ...values), longestMs),
      );
      return had.flatMap((one) => judged(one, role, database));
    } catch (error) {
      return [refused(error, role, database)];
    }
  });
  return (await Promise.all(found)).flat();
}

/** Of the categories that decide; tuning, logging and what belongs to the whole server are not among them. */
function readSettings(sql: Sql, longestMs: number): Promise<Had[]> {
  return sql<Had>`
    select name, setting, source, coalesce(boot_val, '') as plain
    from pg_catalog.pg_settings
    where setting is distinct from boot_val
      and (
        category ~ '^(Client Connection Defaults|Version and Platform|Developer Options|Error Handling)'
        or name ~ '^(auto_explain|kennel)\.'
      )
      and context in ('user', 'superuser', 'backend', 'superuser-backend')
      and not name in (select jsonb_array_elements_text(${JSON.stringify(timeouts)}::text::jsonb))
    union all
    select name, setting, source, 'at most ' || ${longestMs}::int
    from pg_catalog.pg_settings
    where name in (select jsonb_array_elements_text(${JSON.stringify(timeouts)}::text::jsonb))
      and case when name ~ '_timeout$' then not setting::bigint between 1 and ${longestMs}::int end
    order by 1`;
}

function judged(had: Had, role: string, database: string): Finding[] {
  const { name, setting, source, plain } = had;
  if (harmless.test(name) || fine[name.toLowerCase()]?.test(setting)) return [];
  const byName = gravityOf(name);
  // Named already where it was set.
  if (byName && ['database', 'user', 'database user', 'global'].includes(source)) return [];
  return [
    finding(checkOf(name, byName), {
      database,
      where: `setting ${name} of sessions of role ${role}`,
      what: `It is "${setting}" (${originOf(source)}), and should be "${plain}"`,
      mend: undoing(had, { role, database }),
    }),
  ];
}

function checkOf(name: string, byName: Check | null): Check {
  if (onlyAnswers.test(name)) return 'setting_wrong';
  return byName ?? 'setting_unknown';
}

function originOf(source: string): string {
  if (source === 'client') return 'from DATABASE_URL';
  if (source === 'configuration file') return 'for the whole server';
  return `from the ${source}`;
}

/** Null where no statement undoes it. */
function undoing(
  { name, source, plain }: Had,
  { role, database }: { role: string; database: string },
): string | null {
  const setting = quotedSetting(name);
  if (source === 'configuration file') {
    return `alter system set ${setting} = '${plain.replaceAll("'", "''")}'`;
  }
  if (source === 'database') return `alter database ${quoted(database)} reset ${setting}`;
  if (source === 'user') return `alter role ${quoted(role)} reset ${setting}`;
  if (source === 'global') return `alter role all reset ${setting}`;
  if (source !== 'database user') return null;
  return `alter role ${quoted(role)} in database ${quoted(database)} reset ${setting}`;
}

function refused(error: unknown, role: string, database: string): Finding {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return finding('session_refused', {
    database,
    where: `role ${role}`,
    what: `It could not open a session: ${cause instanceof Error ? cause.message : String(cause)}`,
    mend: null,
  });
}
