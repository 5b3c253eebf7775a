/** The installation's secrets, which only the owner may read, and the seal keys in each database. */
import { randomBytes } from 'node:crypto';
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import { type SealSecrets, type Secrets, sealKeyOf } from '../../postgres/installation.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import { pads } from '../../postgres/seal.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { admitDedicatedTenant } from '../provisioning/dedicated_context.ts';

/** Runs statements as the owner role, on a connection of the main database. */
export function asOwner<Result>(
  { admin, installation }: Pick<Fleet, 'admin' | 'installation'>,
  work: (sql: Sql) => Promise<Result>,
): Promise<Result> {
  const { main, roles } = installation;
  return admin.exclusive(installation.adminUrlOf(main), fleetWork, (connection) =>
    connection.transaction(`begin; set local role "${roles.owner}"`, work),
  );
}

/** All secrets; before the first start has stored one, a new random one. */
export function readSecrets(connection: Connection, owner: string): Promise<Secrets> {
  return connection.transaction(`begin; set local role "${owner}"`, async (sql) => {
    const [found] = await sql<{ exists: boolean }>`
      select to_regclass('control.secrets') is not null as "exists"`;
    const rows = found?.exists ? await readRows(sql) : [];
    return secretsOf(rows) ?? generateSecrets();
  });
}

function generateSecrets(): Secrets {
  const installation = randomBytes(32);
  return { installation, seals: { current: installation, other: null } };
}

/** Stores the installation's secret, unless there is one. */
export async function keepSecret(
  connection: Connection,
  owner: string,
  secret: Buffer,
): Promise<void> {
  await connection.transaction(
    `begin; set local role "${owner}"`,
    (sql) => sql`
      insert into control.secrets (name, value)
      values ('installation', ${secret})
      on conflict do nothing`,
  );
}

/** All secrets. @throws {Error} when there is none. */
export function readInstalledSecrets(connection: Connection, owner: string): Promise<Secrets> {
  return connection.transaction(`begin read only; set local role "${owner}"`, secretsIn);
}

/** The current secrets of the seals, as the database has them. */
export async function readSealSecrets(
  fleet: Pick<Fleet, 'admin' | 'installation'>,
): Promise<SealSecrets> {
  return (await asOwner(fleet, secretsIn)).seals;
}

/** The secrets whose keys a database may have: the valid ones, and one that a rotation is removing. */
export async function acceptedSecrets(sql: Sql): Promise<readonly Buffer[]> {
  const { current, other } = (await secretsIn(sql)).seals;
  const [retired] = await sql<{ value: Buffer }>`
    select value from control.secrets where name = 'retiring seal'`;
  return [current, other, retired?.value ?? null].filter((secret) => secret !== null);
}

/** Makes the database of a placement accept the seals of these secrets, and no others. */
export async function writeSeals(
  connection: Connection,
  { fleet, placement, seals }: { fleet: Fleet; placement: Placement; seals: SealSecrets },
): Promise<void> {
  const { owner } = fleet.installation.roles;
  if (!isDedicated(placement)) {
    return writeKeys(connection, { database: placement.database, owner }, seals);
  }
  await admitDedicatedTenant(connection, placement, {
    text: fleet.sql.dedicatedContext,
    owner,
    seals,
  });
}

async function writeKeys(
  connection: Connection,
  { database, owner }: { database: string; owner: string },
  { current, other }: SealSecrets,
): Promise<void> {
  const rows = [current, ...(other ? [other] : [])].map((secret, at) => {
    const { inner, outer } = pads(sealKeyOf(secret, database));
    return `(${at + 1}, '\\x${inner.toString('hex')}', '\\x${outer.toString('hex')}')`;
  });
  await connection.script(
    `begin;
     set local role "${owner}";
     insert into kernel.seal_keys (slot, inner_pad, outer_pad)
     values ${rows.join(', ')}
     on conflict (slot) do update set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
       where seal_keys.inner_pad <> excluded.inner_pad;
     delete from kernel.seal_keys where slot > ${rows.length};
     commit`,
  );
}

async function secretsIn(sql: Sql): Promise<Secrets> {
  const secrets = secretsOf(await readRows(sql));
  if (!secrets) throw new Error('Cannot read the secrets: control.secrets has none');
  return secrets;
}

type SecretRow = { name: string; value: Buffer };

function readRows(sql: Sql): Promise<SecretRow[]> {
  return sql<SecretRow>`select name, value from control.secrets`;
}

/** The secrets in the rows; null without any. Before the first rotation, seals use the installation's. */
function secretsOf(rows: readonly SecretRow[]): Secrets | null {
  const secret = (name: string) => rows.find((row) => row.name === name)?.value ?? null;
  const installation = secret('installation');
  if (!installation) return null;
  const current = secret('seal') ?? installation;
  return { installation, seals: { current, other: secret('next seal') ?? secret('old seal') } };
}
