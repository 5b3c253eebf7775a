/**
 * Settings that sessions of ours really have, whatever the server, the database, the login or a pooler
 * says: asked of one session of each kind. What decides on rows, rights or answers must be as Kennel
 * pins it, or as Postgres has it by itself.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';
import { settingClass } from './setting_classes.ts';
import { gravityOf, quotedSetting } from './settings.ts';

/** The connections that serve: their sessions begin as those of requests do. */
export type Pools = { serving: ConnectionPool; control: ConnectionPool };

type Had = { name: string; setting: string; source: string; plain: string };

type Session = { login: string; settings: Had[] };

export async function examineSessions(
  { admin, installation, transactionTimeoutMs }: Fleet,
  { serving, control }: Pools,
): Promise<Finding[]> {
  const { database, roles, servingTarget, controlTarget } = installation;
  const adminTarget = installation.adminTarget(database);
  const sessions = [
    { login: roles.serve, pool: serving, target: servingTarget, named: namedOfOurs },
    { login: roles.control, pool: control, target: controlTarget, named: namedOfOurs },
    { login: 'of the administrator', pool: admin, target: adminTarget, named: namedOfAll },
  ];
  const found = sessions.map(async ({ login, pool, target, named }) => {
    try {
      const session = await pool.exclusive(target, fleetWork, (connection) =>
        readSession((text, ...values) => connection.plain(text, ...values)),
      );
      return judged(session, { database, ourLimit: `${transactionTimeoutMs}`, named });
    } catch (error) {
      return [refused(error, login, database)];
    }
  });
  return (await Promise.all(found)).flat();
}

/** Of extensions only what is known to matter. */
async function readSession(sql: Sql): Promise<Session> {
  const settings = await sql<Had & { login: string }>`
    select session_user::text as login, name, setting, source, coalesce(boot_val, '') as plain
    from pg_catalog.pg_settings
    where context in ('user', 'superuser', 'backend', 'superuser-backend')
      and (category <> 'Customized Options' or name ~ '^(auto_explain|kennel)\.')
    order by name`;
  return { login: settings[0]?.login ?? '', settings };
}

/** Sources that `settings.ts` looks at, of databases and all roles, and of our own logins. */
const namedOfAll: readonly string[] = ['database', 'global'];
const namedOfOurs: readonly string[] = [...namedOfAll, 'user', 'database user'];

type Where = { database: string; ourLimit: string; named: readonly string[] };

function judged({ login, settings }: Session, { database, ourLimit, named }: Where): Finding[] {
  return settings.flatMap((had) => {
    const { name, setting, source, plain } = had;
    const check = verdictOn(had, ourLimit);
    if (check === null || (gravityOf(name) && named.includes(source))) return [];
    return [
      finding(check, {
        database,
        where: `setting ${name} of sessions of role ${login}`,
        what: `It is "${setting}" (${originOf(source)}), and should be "${plain}"`,
        fix: undoing(had, { role: login, database }),
      }),
    ];
  });
}

function verdictOn({ name, setting, source, plain }: Had, ourLimit: string): Check | null {
  switch (settingClass(name)) {
    case 'harmless':
    case 'revealing':
      return null;
    case 'pinned':
      return source === 'client' ? null : 'setting_wrong';
    case 'decisive':
      return setting === plain ? null : 'setting_unsafe';
    case 'answering':
      return setting === plain || setting === ourLimit ? null : 'setting_wrong';
    default:
      return setting === plain || name === 'kennel.tenant' ? null : 'setting_unknown';
  }
}

function originOf(source: string): string {
  return source === 'configuration file' ? 'for the whole server' : `from the ${source}`;
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

function refused(error: unknown, login: string, database: string): Finding {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return finding('session_refused', {
    database,
    where: `role ${login}`,
    what: `It could not open a session: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: null,
  });
}
