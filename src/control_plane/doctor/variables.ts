/** The variables of the files of `sql/doctor`. */
import { schemas } from '../../postgres/installation.ts';
import type { Fleet } from '../fleet.ts';
import { templateOf } from '../provisioning/database_template.ts';
import type { ExaminedDatabase } from './placements.ts';
import { arrayOf, type Variables } from './sql_checks.ts';

/** Returns the values for one database. The head of each file says what its variables mean. */
export function variablesOf(
  { isMain, placements, known }: ExaminedDatabase,
  { installation, modes, sql, transactionTimeoutMs }: Fleet,
): Variables {
  const { roles } = installation;
  const { app, account, serve, control, migrate } = roles;
  const here = placements.map(({ placement }) => placement);
  const workers = here.flatMap(({ role, login }) => [role, login]);
  const serving = [...workers, ...(isMain ? [serve, control, app, account] : [])];
  // Logins of other databases are known in the main database only.
  const logins = known.filter(({ active }) => active).map(({ placement }) => placement.login);
  return {
    ...roles,
    app: isMain ? app : (here[0]?.role ?? app),
    // Where no login is named, sessions have their contexts from their start.
    context_login: serving.includes(serve) ? serve : '',
    serving: arrayOf(serving),
    ours: arrayOf([...serving, serve, control, app, account, migrate, ...logins]),
    schemas: arrayOf([
      ...(isMain ? [schemas.kernel, schemas.control] : [schemas.kernel]),
      ...here.map(({ schema }) => schema),
    ]),
    placements: relationOf(known),
    template: templateOf(installation),
    dedicated: arrayOf(modes.withServers),
    moving: arrayOf(known.flatMap(({ capture }) => capture ?? [])),
    newest: `${sql.tenant.length}`,
    limit: `${transactionTimeoutMs}`,
  };
}

function relationOf(known: ExaminedDatabase['known']): string {
  const rows = known.map(({ whose, active, placement }) => {
    const { database, schema, role, login } = placement;
    return { whose, active, database, schema, role, login };
  });
  const json = JSON.stringify(rows).replaceAll("'", "''");
  return `jsonb_to_recordset('${json}') as placement
    (whose text, active boolean, database name, schema name, role name, login name)`;
}
