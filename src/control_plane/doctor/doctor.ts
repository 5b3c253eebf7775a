/**
 * Examines a whole installation: the servers, the main database, and each other database with tenants. A
 * database takes one connection and a few queries of its catalog, for any number of tenants.
 */
import { causeOf, codeOf } from '../../postgres/errors.ts';
import type { Fleet } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import { examineDatabase } from './examined_database.ts';
import {
  type ExaminedServer,
  examineAdded,
  existing,
  located,
  type MainReferences,
  readVersion,
} from './examined_server.ts';
import { type Finding, finding } from './finding.ts';
import { lookInto } from './look.ts';
import { type ExaminedDatabase, readDatabases } from './placements.ts';
import { References } from './reference.ts';
import { examineSessions, type Pools } from './sessions.ts';
import { variablesOf } from './variables.ts';

/** The installation to examine, and the pools of its server. */
export type Examination = { fleet: Fleet; pools: Pools };

export type DoctorOptions = {
  /** The most databases that are examined at once; each takes one of the administrator's connections. */
  databases: number;
  /** New ones by default. They may be reused while the files of `sql/` and the server stay the same. */
  references?: References;
  /** Only this server and the databases there. By default all of them. */
  server?: string | undefined;
  /** Receives the number of examined tenants' databases and the total. */
  onProgress?: (done: number, of: number) => void;
};

/** Returns all findings; errors first. */
export async function examine(
  { fleet, pools }: Examination,
  { databases, references = new References(fleet), server, onProgress = () => {} }: DoctorOptions,
): Promise<Finding[]> {
  const { main, homes, others, onMain } = await withNewSnapshots(() =>
    examineMain(fleet, references),
  );
  const isAsked = (one: ExaminedDatabase) => server === undefined || one.server === server;
  const servers = await Promise.all(
    homes.filter(isAsked).map((home) => examineAdded(fleet, { home, others }, onMain)),
  );
  if (isAsked(main)) {
    onMain.findings.push(...(await examineSessions(fleet, pools, variablesOf(main, fleet))));
    servers.push(onMain);
  }
  const findings = servers.flatMap((one) => one.findings);
  const left = servers.flatMap((one) =>
    one.databases.map((database) => ({ database, references: one.references })),
  );
  const of = left.length;
  let done = 0;
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      const { database, references } = next;
      findings.push(...located(database, await examineTwice(fleet, database, references)));
      done += 1;
      onProgress(done, of);
    }
  };
  await Promise.all(Array.from({ length: databases }, work));
  return findings.sort(
    (one, other) =>
      one.severity.localeCompare(other.severity) || one.where.localeCompare(other.where),
  );
}

type ExaminedMain = {
  main: ExaminedDatabase;
  homes: readonly ExaminedDatabase[];
  others: readonly ExaminedDatabase[];
  onMain: ExaminedServer & MainReferences;
};

const snapshots = 3;

/**
 * A schema that is dropped meanwhile is in the snapshot, but functions of the catalog no longer find its objects: then
 * everything is read again.
 */
async function withNewSnapshots<Result>(look: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await look();
    } catch (error) {
      const isGone = ['XX000', '42P01'].includes(codeOf(causeOf(error)));
      if (!isGone || attempt === snapshots) throw error;
    }
  }
}

/** Returns also the other databases. All is read in one snapshot, with the placements. */
async function examineMain(fleet: Fleet, references: References): Promise<ExaminedMain> {
  // Before the transaction, so that it stays short.
  await references.make(['main kernel', 'control', fleet.sql.tenant.length]);
  return lookInto(fleet, fleet.installation.main, async (sql) => {
    const { main, homes, others } = await readDatabases(sql, fleet);
    const version = await readVersion(sql);
    const accepted = await acceptedSecrets(sql);
    const findings = await examineDatabase(sql, main, { fleet, references, accepted });
    const databases = existing(others, main.server, findings);
    return { main, homes, others, onMain: { findings, databases, references, version } };
  });
}

/**
 * Checks that compare a database with what was read before it: meanwhile a key rotation may have replaced
 * `kernel.tenant()`, and a move or a restore may have begun, or ended.
 */
const compared = [
  'function_changed',
  'move_left_behind',
  'archive_left_behind',
  'database_unreachable',
];

/** Examines another database; once more, with what is true now, if it differs from what was read before. */
async function examineTwice(
  fleet: Fleet,
  other: ExaminedDatabase,
  references: References,
): Promise<Finding[]> {
  const findings = await examineOther(fleet, other, references);
  if (!findings.some(({ check }) => compared.includes(check))) return findings;
  try {
    const now = await readAgain(fleet, other);
    return now ? await examineOther(fleet, now, references) : [];
  } catch {
    return findings;
  }
}

/** Returns the database as it is now; undefined when its tenant has left it. */
function readAgain(
  fleet: Fleet,
  { server, name }: ExaminedDatabase,
): Promise<ExaminedDatabase | undefined> {
  return lookInto(fleet, fleet.installation.main, async (sql) => {
    const { others } = await readDatabases(sql, fleet);
    return others.find((one) => one.server === server && one.name === name);
  });
}

async function examineOther(
  fleet: Fleet,
  other: ExaminedDatabase,
  references: References,
): Promise<Finding[]> {
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    return await lookInto(fleet, { server: other.server, database: other.name }, (sql) =>
      examineDatabase(sql, other, { fleet, references, accepted }),
    );
  } catch (error) {
    const whose = other.placements.map((one) => one.whose).join(', ');
    const where = `database ${other.name} of ${whose}`;
    const what = `The doctor could not examine it: ${error instanceof Error ? error.message : String(error)}`;
    return [finding('database_unreachable', { database: other.name, where, what, fix: null })];
  }
}
