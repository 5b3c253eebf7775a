/**
 * Replaces the secret of the seals while tenants are served. First every database also accepts seals of
 * the next secret, then every process uses it, then the old one is removed. After a kill at any point,
 * the same command continues.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantRef } from '../../kernel/ports.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Placement } from '../../postgres/placement.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { withDatabaseLock } from '../provisioning/placement_lock.ts';
import { learnServers } from '../servers/server_urls.ts';
import { asOwner, readSealSecrets, writeSeals } from './seal_keys.ts';

export type RotationOptions = {
  /** After this time every process uses the new secret. */
  propagationMs: number;
  /** The number of databases that are updated at the same time. */
  concurrency: number;
  onProgress: (step: string) => void;
  /** Called each second with the rest of the waiting time. */
  onWait: (leftMs: number) => void;
};

/** The announcement after which a process reads the secrets again. */
export const sealsAnnouncement = 'seals';

/** @throws {Error} when another rotation is running, or a database cannot be reached. */
export async function rotateSeals(
  fleet: Fleet,
  jobLocks: ConnectionPool,
  options: RotationOptions,
): Promise<void> {
  const { installation } = fleet;
  const url = installation.adminUrlOf(installation.main);
  const done = await jobLocks.exclusive(url, 'seals', (connection) =>
    tryWithLock(connection, 'seals', async () => {
      // Fails when the lock was lost: then another rotation or a move may be under way.
      const assertLocked = async () => void (await connection.plain`select`);
      await rotate(fleet, { ...options, assertLocked });
      return true;
    }),
  );
  if (!done) throw new Error('Cannot rotate the seals: another rotation or a move is under way');
}

async function rotate(
  fleet: Fleet,
  { assertLocked, ...options }: RotationOptions & { assertLocked: () => Promise<void> },
): Promise<void> {
  const { propagationMs, onProgress, onWait } = options;
  const secrets = await secretsInRotation(fleet);
  if (!secrets.has('retiring seal')) {
    if (!secrets.has('old seal')) {
      await generateNext(fleet);
      onProgress(`${await distribute(fleet, options)} databases accept the next key`);
      await assertLocked();
      await switchOver(fleet);
    }
    onProgress(`the next key is in use; waiting ${propagationMs / 1_000} s for every process`);
    await waitFor(propagationMs, onWait);
    await assertLocked();
    await retire(fleet);
  }
  const updated = await distribute(fleet, options);
  await assertLocked();
  await forget(fleet);
  onProgress(`${updated} databases no longer accept the old key`);
}

async function waitFor(ms: number, onWait: RotationOptions['onWait']): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
    onWait(leftMs);
    await delay(Math.min(leftMs, 1_000));
  }
}

/** The names of the secrets that an unfinished rotation has left: they tell how far it came. */
function secretsInRotation(fleet: Fleet): Promise<Set<string>> {
  return asOwner(fleet, async (sql) => {
    const rows = await sql<{ name: string }>`
      select name from control.secrets where name in ('old seal', 'retiring seal')`;
    return new Set(rows.map(({ name }) => name));
  });
}

async function generateNext(fleet: Fleet): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`
      insert into control.secrets (name, value)
      values ('next seal', ${randomBytes(32)})
      on conflict do nothing`,
  );
}

/** Makes the next secret the current one and announces it, in one transaction. */
async function switchOver(fleet: Fleet): Promise<void> {
  await asOwner(fleet, async (sql) => {
    await sql`
      insert into control.secrets (name, value)
      select 'old seal', value
      from control.secrets
      where name in ('seal', 'installation')
      order by name desc
      limit 1`;
    await sql`delete from control.secrets where name = 'seal'`;
    const next = await sql`
      update control.secrets set name = 'seal' where name = 'next seal' returning name`;
    if (next.length === 0) throw new Error('Cannot rotate the seals: another rotation has ended');
    await sql`select pg_notify('kennel', ${sealsAnnouncement})`;
  });
}

/**
 * From now on no placement gets the old key. The secret is kept until no database has its key, so that a
 * failed rotation can continue here, and the doctor can recognise the key.
 */
async function retire(fleet: Fleet): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`update control.secrets set name = 'retiring seal' where name = 'old seal'`,
  );
}

async function forget(fleet: Fleet): Promise<void> {
  await asOwner(fleet, (sql) => sql`delete from control.secrets where name = 'retiring seal'`);
}

/**
 * Writes the valid keys to every database. A failure does not stop the others, and this returns when all
 * are finished, so that nothing is written after the rotation's lock is released.
 *
 * @returns the number of updated databases.
 * @throws {Error} naming the databases that failed, with the reasons.
 */
async function distribute(fleet: Fleet, options: RotationOptions): Promise<number> {
  const failures: string[] = [];
  const left = await databasesWithSeals(fleet, failures);
  let updated = 0;
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      const { database } = next;
      await distributeTo(fleet, next).then(
        (written) => {
          if (written) updated += 1;
        },
        (error: unknown) => failures.push(`${database}: ${messageOf(error)}`),
      );
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  if (failures.length === 0) return updated;
  throw new Error(`Cannot write the keys to every database: ${failures.join('; ')}`);
}

/** @returns false when the database does not exist, because its tenant may have been deleted meanwhile. */
async function distributeTo(fleet: Fleet, placement: Placement): Promise<boolean> {
  try {
    return await writeKeysTo(fleet, placement);
  } catch (error) {
    if (await exists(fleet, placement)) throw error;
    return false;
  }
}

/** Takes the lock under which a new database gets its keys, so that neither overwrites the other. */
function writeKeysTo(fleet: Fleet, placement: Placement): Promise<boolean> {
  return withDatabaseLock(fleet, placement, async (connection) => {
    // An onboarding that has not made the function yet will read the new secrets, under this lock.
    const [prepared] = await connection.plain<{ check: string | null }>`
      select to_regprocedure('kernel.tenant()')::text as check`;
    if (!prepared?.check) return false;
    await writeSeals(connection, { fleet, placement, seals: await readSealSecrets(fleet) });
    return true;
  });
}

/**
 * True for a database that can be connected to. The lock makes it wait for a drop in progress, which has
 * ended the sessions before the database is gone. After an interrupted drop, Postgres marks the database
 * with the connection limit -2.
 */
function exists(fleet: Fleet, { server, database }: Placement): Promise<boolean> {
  const { database: from } = fleet.installation.homeOf(server);
  return withDatabaseLock(fleet, { server, database, from }, async (connection) => {
    const found = await connection.plain`
      select from pg_database where datname = ${database} and datconnlimit <> -2`;
    return found.length > 0;
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * One placement of each database. Tenants of every status count, because a database that is being created
 * may have got its keys a moment ago.
 *
 * @param failures gets the servers that cannot be asked: their databases keep the keys that they have.
 */
async function databasesWithSeals(fleet: Fleet, failures: string[]): Promise<Placement[]> {
  const tenants = await asOwner(
    fleet,
    (sql) => sql<TenantRef>`select id, isolation, server, generation from control.tenants`,
  );
  // After the tenants: another process may have added the server of any of them while this one waited.
  await learnServers(fleet);
  const placements = fleet.modes.groupsOf(tenants).map(({ placement }) => placement);
  const byServer = new Map<string, Map<string, Placement>>();
  for (const placement of placements) {
    const known = byServer.get(placement.server) ?? new Map<string, Placement>();
    byServer.set(placement.server, known.set(placement.database, placement));
  }
  const found = await Promise.all(
    [...byServer].map(([server, databases]) =>
      existingOn(fleet, server, databases).catch((error: unknown) => {
        failures.push(`server ${server}: ${whyUnreachable(error)}`);
        return [];
      }),
    ),
  );
  return found.flat();
}

async function existingOn(
  { admin, installation }: Fleet,
  server: string,
  databases: ReadonlyMap<string, Placement>,
): Promise<Placement[]> {
  const url = installation.adminUrlOf(installation.homeOf(server));
  const found = await admin.exclusive(
    url,
    fleetWork,
    (connection) => connection.plain<{ name: string }>`
      select datname as name from pg_database
      where datname = any (${[...databases.keys()]})`,
  );
  return found.flatMap(({ name }) => databases.get(name) ?? []);
}
