/**
 * Replaces the secret that seals are made from, under load: first every database accepts the next
 * one's seals too, then every process makes its seals from it, then the old one goes. Killed
 * anywhere, the same command goes on where it was.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantRef } from '../../kernel/ports.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { withDatabaseLock } from '../provisioning/placement_lock.ts';
import { asOwner, readSealSecrets, writeSeals } from './seal_keys.ts';

export type RotationOptions = {
  /** After this time every process has heard that there is another secret. */
  propagationMs: number;
  /** Databases at the same time. */
  concurrency: number;
  onProgress: (step: string) => void;
  /** Told each second how much of the wait is left. */
  onWait: (leftMs: number) => void;
};

/** What a process that hears it does: it asks for the secrets again. */
export const sealsAnnouncement = 'seals';

/** @throws {Error} when another rotation is running, or a database cannot be reached. */
export async function rotateSeals(
  fleet: Fleet,
  jobs: ConnectionPool,
  options: RotationOptions,
): Promise<void> {
  const { installation } = fleet;
  const target = installation.adminTarget(installation.database);
  const done = await jobs.exclusive(target, 'seals', (connection) =>
    tryWithLock(connection, 'seals', async () => {
      await rotate(fleet, options);
      return true;
    }),
  );
  if (!done) throw new Error('Cannot rotate the seals: another rotation is running');
}

async function rotate(fleet: Fleet, options: RotationOptions): Promise<void> {
  const { propagationMs, onProgress, onWait } = options;
  const under = await rowsUnderWay(fleet);
  if (!under.has('retiring seal')) {
    if (!under.has('old seal')) {
      await drawNext(fleet);
      onProgress(`${await distribute(fleet, options)} databases accept the next key`);
      await switchOver(fleet);
    }
    onProgress(`the next key is in use; waiting ${propagationMs / 1_000} s for every process`);
    await waitFor(propagationMs, onWait);
    await retire(fleet);
  }
  const told = await distribute(fleet, options);
  await forget(fleet);
  onProgress(`${told} databases have forgotten the old key`);
}

async function waitFor(ms: number, onWait: RotationOptions['onWait']): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
    onWait(leftMs);
    await delay(Math.min(leftMs, 1_000));
  }
}

/** How far an earlier rotation got that was killed, or that could not reach a database. */
function rowsUnderWay(fleet: Fleet): Promise<Set<string>> {
  return asOwner(fleet, async (sql) => {
    const rows = await sql<{ name: string }>`
      select name from control.secrets where name in ('old seal', 'retiring seal')`;
    return new Set(rows.map(({ name }) => name));
  });
}

async function drawNext(fleet: Fleet): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`
      insert into control.secrets (name, value)
      values ('next seal', ${randomBytes(32)})
      on conflict do nothing`,
  );
}

/** In one transaction, with the news for every process. */
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
    await sql`update control.secrets set name = 'seal' where name = 'next seal'`;
    await sql`select pg_notify('kennel', ${sealsAnnouncement})`;
  });
}

/**
 * From here on no place is given the old key. Its secret stays until the last database has forgotten
 * the key: a rotation that fails on the way goes on here, and the doctor knows whose the key is.
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
 * Tells every database which seals are good now. One that cannot be told does not keep the others
 * from it, and all are done with when this ends: nobody writes after the rotation's lock is gone.
 *
 * @returns how many were told.
 * @throws {Error} which databases could not be told, and why.
 */
async function distribute(fleet: Fleet, options: RotationOptions): Promise<number> {
  const left = await databasesWithSeals(fleet);
  const failures: string[] = [];
  let told = 0;
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      const { database } = next;
      await distributeTo(fleet, next).then(
        (there) => {
          if (there) told += 1;
        },
        (error: unknown) => failures.push(`${database}: ${messageOf(error)}`),
      );
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  if (failures.length === 0) return told;
  throw new Error(`Cannot tell every database of the keys: ${failures.join('; ')}`);
}

/** @returns whether there is a database to tell, which its tenant's removal may have taken away. */
async function distributeTo(fleet: Fleet, placement: Placement): Promise<boolean> {
  try {
    return await writeKeysTo(fleet, placement);
  } catch (error) {
    if (await isThere(fleet, placement)) throw error;
    return false;
  }
}

/** The lock is the one under which a new database gets its keys: neither overwrites the other's. */
function writeKeysTo(fleet: Fleet, placement: Placement): Promise<boolean> {
  return withDatabaseLock(fleet, placement, async (connection) => {
    // Who has yet to make the function will read the secrets after us, under this lock.
    const [prepared] = await connection.plain<{ check: string | null }>`
      select to_regprocedure('kernel.tenant()')::text as check`;
    if (!prepared?.check) return false;
    await writeSeals(connection, { fleet, placement, seals: await readSealSecrets(fleet) });
    return true;
  });
}

/**
 * Asked under the lock that dropping a database takes: before its end, the database is there and its
 * sessions are not. One whose dropping was killed takes no session any more, and has the limit -2.
 */
function isThere(fleet: Fleet, { database }: Placement): Promise<boolean> {
  const { database: main } = fleet.installation;
  return withDatabaseLock(fleet, { database, from: main }, async (connection) => {
    const found = await connection.plain`
      select from pg_database where datname = ${database} and datconnlimit <> -2`;
    return found.length > 0;
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * One placement of each database. Also of tenants that are just being made: theirs may have been given its
 * keys a moment ago.
 */
async function databasesWithSeals(fleet: Fleet): Promise<Placement[]> {
  const { admin, installation, modes } = fleet;
  const tenants = await asOwner(
    fleet,
    (sql) => sql<TenantRef>`select id, isolation from control.tenants`,
  );
  const placements = modes.groupsOf(tenants).map(({ placement }) => placement);
  const byDatabase = new Map(placements.map((placement) => [placement.database, placement]));
  const target = installation.adminTarget(installation.database);
  const found = await admin.exclusive(
    target,
    fleetWork,
    (connection) => connection.plain<{ name: string }>`
      select datname as name from pg_database
      where datname = any (${[...byDatabase.keys()]})`,
  );
  const names = new Set(found.map(({ name }) => name));
  return [...byDatabase.values()].filter(({ database }) => names.has(database));
}
