/** Examines a server besides the main one, from the database that its URL names. */
import type { Sql } from '../../kernel/ports.ts';
import { mainServer } from '../../kernel/tenant.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { whyUnusable } from '../servers/probe.ts';
import { examineServer } from './examined_database.ts';
import { type Finding, finding } from './finding.ts';
import { lookInto } from './look.ts';
import type { ExaminedDatabase } from './placements.ts';
import { References } from './reference.ts';
import { runChecks } from './sql_checks.ts';
import { variablesOf } from './variables.ts';

export type ExaminedServer = {
  findings: Finding[];
  /** Its databases with tenants; none if it cannot be looked at. */
  databases: readonly ExaminedDatabase[];
  references: References;
};

/** The references of the main server, and its version: other versions list the same objects differently. */
export type MainReferences = { references: References; version: number };

/** Returns the findings about the whole server. If it is down, that is the only one. */
export async function examineAdded(
  fleet: Fleet,
  { home, others }: { home: ExaminedDatabase; others: readonly ExaminedDatabase[] },
  main: MainReferences,
): Promise<ExaminedServer> {
  const { server } = home;
  const { references } = main;
  try {
    const reason = await whyUnusable(fleet, server);
    if (reason !== null) throw new Error(reason);
    const { version, findings } = await lookAt(fleet, home);
    const databases = existing(others, server, findings);
    const [first] = databases;
    if (!first || version === main.version) return { findings, databases, references };
    const place = { server, database: first.name };
    return { findings, databases, references: new References(fleet, place) };
  } catch (error) {
    const left = others.filter((one) => one.server === server);
    return { findings: [unreachable(home, left.length, error)], databases: [], references };
  }
}

/** Returns the databases of a server, without those that a finding says are missing. */
export function existing(
  databases: readonly ExaminedDatabase[],
  server: string,
  findings: readonly Finding[],
): ExaminedDatabase[] {
  const missing = findings.filter(({ check }) => check === 'tenant_place_missing');
  const gone = new Set(missing.map(({ database }) => database));
  return databases.filter((one) => one.server === server && !gone.has(one.name));
}

async function lookAt(
  fleet: Fleet,
  home: ExaminedDatabase,
): Promise<{ version: number; findings: Finding[] }> {
  const { admin, installation } = fleet;
  const place = { server: home.server, database: home.name };
  const variables = variablesOf(home, fleet);
  const looked = await lookInto(fleet, place, async (sql) => ({
    version: await readVersion(sql),
    findings: await examineServer(sql, variables),
  }));
  const settings = await admin.exclusive(installation.adminUrlOf(place), fleetWork, (connection) =>
    runChecks((text, ...values) => connection.plain(text, ...values), ['each session'], variables),
  );
  return { ...looked, findings: located(home, [...looked.findings, ...settings]) };
}

/** Adds the name of an added server to the places of findings. */
export function located({ server }: ExaminedDatabase, findings: readonly Finding[]): Finding[] {
  if (server === mainServer) return [...findings];
  return findings.map((one) => ({ ...one, where: `server ${server}: ${one.where}` }));
}

/** Returns the major version of the server. */
export async function readVersion(sql: Sql): Promise<number> {
  const [server] = await sql<{ version: number }>`
    select current_setting('server_version_num')::int / 10000 as version`;
  return server?.version ?? 0;
}

function unreachable({ server, name }: ExaminedDatabase, tenants: number, error: unknown): Finding {
  const reason = error instanceof Error ? error.message : String(error);
  return finding('server_unreachable', {
    database: name,
    where: `server ${server}`,
    what: `The doctor could not examine it, nor the databases of ${tenants} tenants there: ${reason}`,
    fix: null,
  });
}
