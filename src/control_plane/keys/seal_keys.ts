/**
 * The installation's secrets, which only the owner role may read, and what each database holds seals
 * against.
 */
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
  const { database, roles } = installation;
  return admin.exclusive(installation.adminTarget(database), fleetWork, (connection) =>
    connection.transaction(`begin; set local role "${roles.owner}"`, work),
  );
}

/** All secrets. Before the control schema is there, drawn for the first start to keep. */
export function readSecrets(connection: Connection, owner: string): Promise<Secrets> {
  return connection.transaction(`begin; set local role "${owner}"`, async (sql) => {
    const [found] = await sql<{ isThere: boolean }>`
      select to_regclass('control.secrets') is not null as "isThere"`;
    const rows = found?.isThere ? await readRows(sql) : [];
    return secretsOf(rows) ?? drawn();
  });
}

function drawn(): Secrets {
  const installation = randomBytes(32);
  return { installation, seals: { current: installation, other: null } };
}

/** The same for ever after. */
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

/** All secrets of an installation that is there. */
export function knownSecrets(connection: Connection, owner: string): Promise<Secrets> {
  return connection.transaction(`begin read only; set local role "${owner}"`, secretsIn);
}

/** What seals are made from as of now, whatever this process has heard. */
export async function readSealSecrets(
  fleet: Pick<Fleet, 'admin' | 'installation'>,
): Promise<SealSecrets> {
  return (await asOwner(fleet, secretsIn)).seals;
}

/** What a database's keys may come from: the two, and one whose keys rotation has yet to clear away. */
export async function acceptedSecrets(sql: Sql): Promise<readonly Buffer[]> {
  const { current, other } = (await secretsIn(sql)).seals;
  const [retired] = await sql<{ value: Buffer }>`
    select value from control.secrets where name = 'retiring seal'`;
  return [current, other, retired?.value ?? null].filter((secret) => secret !== null);
}

/** Makes the database of a placement accept the contexts that these secrets give, and no others. */
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
  if (!secrets) throw new Error('Cannot start: the control schema has no secret');
  return secrets;
}

type SecretRow = { name: string; value: Buffer };

function readRows(sql: Sql): Promise<SecretRow[]> {
  return sql<SecretRow>`select name, value from control.secrets`;
}

/** Before the first rotation, seals are made from the installation's own secret. */
function secretsOf(rows: readonly SecretRow[]): Secrets | null {
  const secret = (name: string) => rows.find((row) => row.name === name)?.value ?? null;
  const installation = secret('installation');
  if (!installation) return null;
  const current = secret('seal') ?? installation;
  return { installation, seals: { current, other: secret('next seal') ?? secret('old seal') } };
}
