/**
 * Replaces the secret that seals are made from, under load: first every database accepts the next
 * one's seals too, then every process makes its seals from it, then the old one goes. Killed
 * anywhere, the same command goes on where it was.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantId } from '../kernel/tenant.ts';
import type { Place } from '../postgres/installation.ts';
import type { LanePool } from '../postgres/lane_pool.ts';
import { type Fleet, fleetWork } from './fleet.ts';
import { workOn } from './place.ts';
import { asOwner, readSealSecrets, writeSealKeys } from './seal_keys.ts';
import { ifFree } from './session_lock.ts';

export type RotationOptions = {
  /** After this time every process has heard that there is another secret. */
  heardAfterMs: number;
  /** Databases at the same time. */
  concurrency: number;
  onProgress: (step: string) => void;
};

/** What a process that hears it does: it asks for the secrets again. */
export const sealsAnnouncement = 'seals';

/** @throws {Error} when another rotation is running, or a database cannot be reached. */
export async function rotateSeals(
  fleet: Fleet,
  jobs: LanePool,
  options: RotationOptions,
): Promise<void> {
  const { installation } = fleet;
  const target = installation.adminTarget(installation.database);
  const done = await jobs.use(target, 'seals', (lane) =>
    ifFree(lane, 'seals', async () => {
      await rotate(fleet, options);
      return true;
    }),
  );
  if (!done) throw new Error('Cannot rotate the seals: another rotation is running');
}

async function rotate(fleet: Fleet, options: RotationOptions): Promise<void> {
  const { heardAfterMs, onProgress } = options;
  if (!(await isSwitched(fleet))) {
    await drawNext(fleet);
    onProgress(`${await distribute(fleet, options)} databases accept the next key`);
    await switchOver(fleet);
  }
  onProgress(`the next key is in use; waiting ${heardAfterMs / 1_000} s for every process`);
  await delay(heardAfterMs);
  await retire(fleet);
  onProgress(`${await distribute(fleet, options)} databases have forgotten the old key`);
  await forgetRetired(fleet);
}

/** Whether an earlier rotation, which was killed, got as far as to switch. */
function isSwitched(fleet: Fleet): Promise<boolean> {
  return asOwner(fleet, async (sql) => {
    const old = await sql`select from control.secrets where name = 'old seal'`;
    return old.length > 0;
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

/** It is kept until no database has its keys: the doctor would take them for somebody else's. */
async function retire(fleet: Fleet): Promise<void> {
  await asOwner(fleet, async (sql) => {
    await sql`delete from control.secrets where name = 'retired seal'`;
    await sql`update control.secrets set name = 'retired seal' where name = 'old seal'`;
  });
}

async function forgetRetired(fleet: Fleet): Promise<void> {
  await asOwner(fleet, (sql) => sql`delete from control.secrets where name = 'retired seal'`);
}

/** Tells every database which seals are good now. @returns how many there are. */
async function distribute(fleet: Fleet, { concurrency }: RotationOptions): Promise<number> {
  const { installation } = fleet;
  const places = [installation.shared, ...(await ownDatabases(fleet))];
  const left = [...places];
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) await distributeTo(fleet, next);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return places.length;
}

/** The lock is the one under which a new place gets its keys: neither overwrites the other's. */
function distributeTo(fleet: Fleet, place: Place): Promise<void> {
  const { owner } = fleet.installation.roles;
  return workOn({ fleet, place, from: place.database }, async (lane) =>
    writeSealKeys(lane, { database: place.database, owner }, await readSealSecrets(fleet)),
  );
}

/** Also of tenants that are just being made: theirs may have been given its keys a moment ago. */
async function ownDatabases(fleet: Fleet): Promise<Place[]> {
  const { admin, installation } = fleet;
  const tenants = await asOwner(
    fleet,
    (sql) => sql<{ id: TenantId }>`select id from control.tenants where isolation = 'database'`,
  );
  const places = tenants.map(({ id }) => installation.databaseOf(id));
  const target = installation.adminTarget(installation.database);
  const found = await admin.use(
    target,
    fleetWork,
    (lane) => lane.plain<{ name: string }>`
      select datname as name from pg_database
      where datname in (
        select jsonb_array_elements_text(${JSON.stringify(places.map((place) => place.database))}::text::jsonb)
      )`,
  );
  const names = new Set(found.map(({ name }) => name));
  return places.filter(({ database }) => names.has(database));
}
