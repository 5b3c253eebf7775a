/** The server, and the main database: control schema, kernel, shared place and tenants' schemas. */
import type { Sql } from '../../kernel/ports.ts';
import { type Installation, schemas } from '../../postgres/installation.ts';
import { isDedicated } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { acceptedSecrets } from '../keys/seal_keys.ts';
import { noSchema } from './catalog.ts';
import { type Admission, type Admitted, examineDatabases } from './databases.ts';
import { differences } from './differences.ts';
import { type Examined, examinedMain, schemasOf } from './examined.ts';
import { type Finding, identifier } from './finding.ts';
import { examineGeneral } from './general.ts';
import { lookAt } from './look.ts';
import { type DedicatedTenant, expectedPlace } from './own_database.ts';
import {
  type ExpectedPlace,
  examinePlaces,
  factsOf,
  knownDigests,
  newer,
  readSchemas,
  type Seen,
} from './places.ts';
import type { References } from './reference.ts';
import { examineConnectionLimits, examineForeignOwners, examineRoles } from './roles.ts';
import { examineSealKeys } from './seals.ts';
import { examineVersion } from './server.ts';
import { examineSessions, type Pools } from './sessions.ts';
import { examineSettings } from './settings.ts';
import { type Carrier, examineActivity, examineLogging } from './statements.ts';
import {
  examineVersions,
  placeMissing,
  readExaminedTenants,
  readLedgerVersion,
} from './versions.ts';

type Task = { fleet: Fleet; pools: Pools; references: References };

export async function examineMain({
  fleet,
  pools,
  references,
}: Task): Promise<{ findings: Finding[]; housed: DedicatedTenant[] }> {
  const { installation, sql: files } = fleet;
  const { database } = installation;
  const newest = files.tenant.length;
  const { tenants, versions } = await lookAt(fleet, database, async (sql) => ({
    tenants: await readExaminedTenants(sql, newest),
    versions: await readVersions(sql),
  }));
  const own = tenants
    .filter(({ isolation }) => isolation !== 'shared')
    .map((tenant) => ({ tenant, place: fleet.modes.placementOf(tenant) }));
  const examined = examinedMain(
    installation,
    own.map(({ place }) => place),
  );
  const housed = own.flatMap(({ tenant, place }) =>
    isDedicated(place) ? [{ tenant, place }] : [],
  );
  const expected: ExpectedPlace[] = [
    {
      schema: schemas.shared,
      whose: 'all tenants of shared mode',
      version: versions.shared,
    },
    ...own
      .filter(({ place }) => !isDedicated(place))
      .map(({ tenant, place }) => expectedPlace(tenant, place)),
  ].map((place) => ({ ...place, version: Math.min(place.version, newest) }));
  const known = await knownDigests(expected, references);
  const { tables } = await references.place(newest);
  const { findings, seen, present } = await lookAt(fleet, database, async (sql) => ({
    findings: [
      ...(await examineCluster(sql, examined, { installation, housed })),
      ...(await examineGeneral(sql, examined, tables)),
      ...(await examineSealKeys(sql, examined, await acceptedSecrets(sql))),
    ],
    seen: await readSchemas(sql, examined, { schemas: schemasOf(examined), known }),
    present: await presentDatabases(sql, housed),
  }));
  const isHere = ({ place }: DedicatedTenant) => present.has(place.database);
  return {
    findings: [
      ...findings,
      ...examineVersions(tenants, newest, database),
      ...(await examineSessions(fleet, pools)),
      ...(await examineOurs(seen, { examined, references, fleet, versions })),
      ...(await examinePlaces(seen, expected, { examined, references, newest })),
      ...housed.filter((one) => !isHere(one)).map((one) => databaseMissing(one, database)),
    ],
    housed: housed.filter(isHere),
  };
}

type Versions = { kernel: number; control: number; shared: number };

async function readVersions(sql: Sql): Promise<Versions> {
  return {
    kernel: (await readLedgerVersion(sql, schemas.kernel)) ?? 0,
    control: (await readLedgerVersion(sql, schemas.control)) ?? 0,
    shared: (await readLedgerVersion(sql, schemas.shared)) ?? 0,
  };
}

function databaseMissing({ tenant, place }: DedicatedTenant, database: string): Finding {
  const what = `Its database ${place.database} is gone`;
  return placeMissing({ database, where: `tenant ${tenant.slug}`, what });
}

type OurTask = { examined: Examined; references: References; fleet: Fleet; versions: Versions };

/** Schemas that have no tenant's tables, and what belongs to the database. */
async function examineOurs(
  seen: Seen,
  { examined, references, fleet, versions }: OurTask,
): Promise<Finding[]> {
  const { database } = examined;
  const app = identifier(examined.app);
  const reference = await references.kernel();
  const ours = (['kernel', 'control'] as const).flatMap((schema) => {
    if (versions[schema] > fleet.sql[schema].length) return [newer({ database, schema })];
    return differences(reference[schema], factsOf(seen, schema), { database, schema, app });
  });
  const common = differences([], factsOf(seen, noSchema), { database, schema: noSchema, app });
  return [...ours, ...common];
}

/** What belongs to the whole server. */
async function examineCluster(
  sql: Sql,
  examined: Examined,
  { installation, housed }: { installation: Installation; housed: DedicatedTenant[] },
): Promise<Finding[]> {
  const { database, roles } = installation;
  const own = housed.map(({ place }) => place);
  const { serve, control, migrate } = roles;
  const admitted: Admitted = new Map([
    [database, { CONNECT: [serve, control, migrate], CREATE: [migrate] }],
    ...own.map(({ database: name, role }): [string, Admission] => [
      name,
      { CONNECT: [role, migrate], CREATE: [] },
    ]),
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

async function presentDatabases(sql: Sql, housed: DedicatedTenant[]): Promise<ReadonlySet<string>> {
  const names = JSON.stringify(housed.map(({ place }) => place.database));
  const rows = await sql<{ name: string }>`
    select datname as name
    from pg_database join pg_roles on rolname = datname
    where datname in (select jsonb_array_elements_text(${names}::text::jsonb))`;
  return new Set(rows.map(({ name }) => name));
}
