/**
 * Examines a whole installation: the server, the main database, and each tenant's own one. A database
 * costs one connection and a few queries of its catalog, however many tenants are in it.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Installation, type Place, placeOf } from '../../postgres/installation.ts';
import type { Lane } from '../../postgres/lane.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { isOwn, type OwnPlace } from '../resident.ts';
import { acceptedSecrets, asOwner } from '../seal_keys.ts';
import { examineBodies } from './bodies.ts';
import { type Admitted, examineDatabases, examineSchemas } from './databases.ts';
import { examineDefaultGrants } from './default_grants.ts';
import { type Examined, examinedMain, examinedOwn } from './examined.ts';
import { type Finding, finding, isOld } from './finding.ts';
import { examineFunctions } from './functions.ts';
import { examineGrants } from './grants.ts';
import { examineKeys } from './keys.ts';
import { examineLanguages } from './languages.ts';
import { examinePolicies } from './policies.ts';
import { examineResident } from './resident.ts';
import {
  examineConnectionLimits,
  examineForeignOwners,
  examineOwners,
  examineRoles,
} from './roles.ts';
import { examineSealKeys } from './seals.ts';
import { examineVersion } from './server.ts';
import { examineSettings } from './settings.ts';
import { type Carrier, examineActivity, examineLogging, examineStatements } from './statements.ts';
import { examineStatistics } from './statistics.ts';
import { examineStrayGrants } from './stray_grants.ts';
import { examineTables, readTenantTables } from './tables.ts';
import { examineTriggers } from './triggers.ts';
import {
  type ExaminedTenant,
  type ExpectedPlace,
  examinePlaces,
  examineVersions,
  placeMissing,
  readExaminedTenants,
  readSharedVersion,
  tablesAt,
} from './versions.ts';
import { examineViews } from './views.ts';

export type DoctorOptions = {
  /** Tenants' own databases at the same time; each takes one of the administrator's lanes. */
  databases: number;
  /** Done in a tenant's own database that an older version made; it is then looked at again. */
  renew?: (lane: Lane, place: OwnPlace) => Promise<void>;
};

/** A tenant that has a database of its own, and where it is. */
type Housed = { tenant: ExaminedTenant; place: OwnPlace };

/** All that is not as it should be; errors first. */
export async function examine(fleet: Fleet, options: DoctorOptions): Promise<Finding[]> {
  const { findings, housed } = await examineMain(fleet);
  const left = [...housed];
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      findings.push(...(await examineOwnTwice(fleet, next, options)));
    }
  };
  await Promise.all(Array.from({ length: options.databases }, work));
  return findings.sort(
    (one, other) => one.grade.localeCompare(other.grade) || one.where.localeCompare(other.where),
  );
}

async function examineMain(fleet: Fleet): Promise<{ findings: Finding[]; housed: Housed[] }> {
  const { admin, installation, sql: files } = fleet;
  const target = installation.adminTarget(installation.database);
  return admin.use(target, fleetWork, (lane) =>
    looking(lane, installation, async (sql) => {
      const newest = files.tenant.length;
      const tenants = await readExaminedTenants(sql, newest);
      const own = tenants
        .filter(({ isolation }) => isolation !== 'shared')
        .map((tenant) => ({ tenant, place: placeOf(installation, tenant) }));
      const examined = examinedMain(
        installation,
        own.map(({ place }) => place),
      );
      const { database } = installation;
      const housed = own.flatMap(({ tenant, place }) => (isOwn(place) ? [{ tenant, place }] : []));
      const inMain = own.filter(({ place }) => !isOwn(place));
      const expected = [
        {
          schema: installation.shared.schema,
          whose: 'all tenants of shared mode',
          version: await readSharedVersion(sql),
        },
        ...inMain.map(({ tenant, place }) => expectedPlace(tenant, place)),
      ];
      const findings = [
        ...examineVersions(tenants, newest, database),
        ...(await examineCluster(sql, examined, { installation, housed })),
        ...(await examineDatabase(sql, examined, {
          fleet,
          expected,
          accepted: await acceptedSecrets(sql),
        })),
      ];
      const present = await presentDatabases(sql, housed);
      for (const { tenant, place } of housed.filter((one) => !present.has(one.place.database))) {
        const what = `Its database ${place.database} is gone`;
        findings.push(placeMissing({ database, where: `tenant ${tenant.slug}`, what }));
      }
      return { findings, housed: housed.filter((one) => present.has(one.place.database)) };
    }),
  );
}

function expectedPlace({ slug, version }: ExaminedTenant, { schema }: Place): ExpectedPlace {
  return { schema, whose: `tenant ${slug}`, version };
}

/** Only reads, as the owner: a name in a query is the catalog's, whatever the search path was. */
function looking<Result>(
  lane: Lane,
  { roles }: Installation,
  look: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  return lane.transaction(
    `begin isolation level repeatable read read only; set local role "${roles.owner}";
     set local search_path = pg_catalog, pg_temp`,
    look,
  );
}

/** What belongs to the whole server. */
async function examineCluster(
  sql: Sql,
  examined: Examined,
  { installation, housed }: { installation: Installation; housed: Housed[] },
): Promise<Finding[]> {
  const { database, roles } = installation;
  const own = housed.map(({ place }) => place);
  const admitted: Admitted = new Map([
    [database, [roles.serve, roles.control]],
    ...own.map((place): [string, string[]] => [place.database, [place.role]]),
  ]);
  const carriers: Carrier[] = [
    { login: roles.serve, database },
    ...own.map((place) => ({ login: place.role, database: place.database })),
  ];
  return [
    ...(await examineRoles(sql, examined, roles)),
    ...(await examineConnectionLimits(sql, examined, installation)),
    ...(await examineForeignOwners(sql, examined, [...admitted.keys()])),
    ...(await examineDatabases(sql, examined, admitted)),
    ...(await examineVersion(sql, examined)),
    ...(await examineSettings(sql, examined, [...admitted.keys()])),
    ...(await examineActivity(sql, carriers)),
    ...(await examineLogging(sql, examined, carriers)),
  ];
}

type Expected = { fleet: Fleet; expected: ExpectedPlace[]; accepted: readonly Buffer[] };

/** What belongs to one database. */
async function examineDatabase(
  sql: Sql,
  examined: Examined,
  { fleet, expected, accepted }: Expected,
): Promise<Finding[]> {
  const { tenant: files } = fleet.sql;
  const { database } = examined;
  const tables = await readTenantTables(sql, examined);
  return [
    ...examinePlaces(tables, expected, { database, files }),
    ...examineTables(tables, examined),
    ...(await examinePolicies(sql, tables, examined)),
    ...(await examineKeys(sql, tables, examined)),
    ...(await examineGrants(sql, examined)),
    ...(await examineStrayGrants(sql, examined)),
    ...(await examineDefaultGrants(sql, examined)),
    ...(await examineStatistics(sql, examined)),
    ...(await examineTriggers(sql, examined)),
    ...(await examineViews(sql, examined)),
    ...(await examineFunctions(sql, examined)),
    ...(await examineSeals(sql, examined, { fleet, accepted })),
    ...(await examineLanguages(sql, examined)),
    ...(await examineSchemas(sql, examined, tablesAt(files, files.length))),
    ...(await examineOwners(sql, examined)),
    ...(await examineStatements(sql, examined)),
  ];
}

async function examineSeals(
  sql: Sql,
  examined: Examined,
  { fleet, accepted }: Pick<Expected, 'fleet' | 'accepted'>,
): Promise<Finding[]> {
  const { resident: place } = examined;
  if (place) return examineResident(sql, examined, { place, files: fleet.sql, accepted });
  return [
    ...(await examineBodies(sql, examined, fleet.sql)),
    ...(await examineSealKeys(sql, examined, accepted)),
  ];
}

/** A rotation may go on between a look at the secrets and one at the keys: then both are looked at again. */
async function examineOwnTwice(
  fleet: Fleet,
  housed: Housed,
  options: DoctorOptions,
): Promise<Finding[]> {
  const findings = await examineOwn(fleet, housed, options);
  if (!findings.some(({ check }) => check === 'seal_check_changed')) return findings;
  return examineOwn(fleet, housed, options);
}

async function examineOwn(
  fleet: Fleet,
  { tenant, place }: Housed,
  { renew }: DoctorOptions,
): Promise<Finding[]> {
  const { admin, installation } = fleet;
  const { database } = place;
  const examined = examinedOwn(installation, place);
  const expected = [expectedPlace(tenant, place)];
  const unreachable = (fault: string) =>
    finding('database_unreachable', {
      database,
      where: `database ${database} of tenant ${tenant.slug}`,
      what: `It could ${fault}`,
      mend: null,
    });
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    return await admin.use(installation.adminTarget(database), fleetWork, async (lane) => {
      const look = () =>
        looking(lane, installation, (sql) =>
          examineDatabase(sql, examined, { fleet, expected, accepted }),
        );
      const findings = await look();
      if (!renew || !findings.some(isOld)) return findings;
      const fault = await renew(lane, place).then(() => null, reasonOf);
      // What was found is as true as before.
      if (fault !== null) return [...findings, unreachable(`not be brought up to date: ${fault}`)];
      return look();
    });
  } catch (error) {
    return [unreachable(`not be looked at: ${reasonOf(error)}`)];
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function presentDatabases(sql: Sql, housed: Housed[]): Promise<ReadonlySet<string>> {
  const names = JSON.stringify(housed.map(({ place }) => place.database));
  const rows = await sql<{ name: string }>`
    select datname as name
    from pg_database join pg_roles on rolname = datname
    where datname in (select jsonb_array_elements_text(${names}::text::jsonb))`;
  return new Set(rows.map(({ name }) => name));
}
