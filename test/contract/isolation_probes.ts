/**
 * Ways to reach another tenant's rows. A probe runs as one tenant against a row of another in the
 * same table, and answers whether anything leaked. Each probe runs twice: with the guard that must
 * stop it, and without the guard, when it must succeed or it proves nothing.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Db, Sql } from '../../src/kernel/ports.ts';
import type { TenantId } from '../../src/kernel/tenant.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { sealedContext } from '../../src/postgres/seal.ts';

export type Victim = { id: TenantId; petId: string; sealKey: Buffer };

/** True when a row of the victim was read, changed or detected. */
export type Probe = (db: Db, victim: Victim) => Promise<boolean>;

/** Probes that row security stops. Each answers with the rows that it reached. */
export const rowProbes: Readonly<Record<string, Probe>> = {
  'a select': (db, { petId }) => admitted(db`select id from pets where id = ${petId}`),
  'a select of a list': (db, { petId }) =>
    admitted(db`select id from pets where id = any (${[petId, randomUUID()]})`),
  'a select of everything': async (db, { id }) => {
    const rows = await db<{ tenant_id: string }>`select tenant_id from pets`;
    return rows.some((row) => row.tenant_id === id);
  },
  'a count': async (db, { petId }) => {
    const [row] = await db<{ count: number }>`select count(*) from pets where id = ${petId}`;
    return row?.count !== 0;
  },
  'an insert with its tenant id': (db, { id }) =>
    admitted(db`
      insert into pets (tenant_id, id, name, species)
      values (${id}, ${randomUUID()}, 'Cuckoo', 'bird')
      returning id`),
  'an update': (db, { petId }) =>
    admitted(db`update pets set name = 'Stolen' where id = ${petId} returning id`),
  'an update that gives a row away': async (db, { id }) => {
    const petId = await addPet(db);
    return admitted(db`update pets set tenant_id = ${id} where id = ${petId} returning id`);
  },
  'a delete': (db, { petId }) => admitted(db`delete from pets where id = ${petId} returning id`),
  'an upsert': (db, { id, petId }) =>
    admitted(db`
      insert into pets (tenant_id, id, name, species) values (${id}, ${petId}, 'Stolen', 'dog')
      on conflict (tenant_id, id) do update set name = excluded.name
      returning id`),
  'a visit with its tenant id': (db, { id, petId }) =>
    admitted(db`
      insert into visits (tenant_id, id, pet_id, visited_on, reason)
      values (${id}, ${randomUUID()}, ${petId}, '2024-01-01', 'Spying')
      returning id`),
};

/**
 * Probes that keys with the tenant as first column stop: a failed write shows whether an id exists.
 */
export const keyProbes: Readonly<Record<string, Probe>> = {
  'a foreign key': async (db, { petId }) =>
    (await outcome(addVisit(db, petId))) !== (await outcome(addVisit(db, randomUUID()))),
  'a primary key': async (db, { petId }) =>
    (await outcome(addPet(db, petId))) !== (await outcome(addPet(db))),
};

type Forgery = (own: string, victim: Victim) => string;

const forgeries: Readonly<Record<string, Forgery>> = {
  'a tenant id without a seal': (_own, { id }) => id,
  'an invented seal': (_own, { id }) => `${id}.0.${'0'.repeat(64)}`,
  "the seal of the attacker's own tenant": (own, { id }) =>
    `${id}.${own.split('.').slice(1).join('.')}`,
  'the seal of another backend': (_own, { id, sealKey }) =>
    sealedContext(sealKey, { tenant: id, generation: 0 }, 1),
};

/** Probes that the seal stops: an injected statement that changes the context, in two ways. */
export const sealProbes: Readonly<Record<string, Probe>> = Object.fromEntries(
  Object.entries(forgeries).flatMap(([name, forge]): [string, Probe][] => [
    [`${name}, set by a statement before`, (db, victim) => forgeBefore(db, victim, forge)],
    [`${name}, set within the statement`, (db, victim) => forgeWithin(db, victim, forge)],
  ]),
);

function forgeBefore(db: Db, victim: Victim, forge: Forgery): Promise<boolean> {
  return admitted(
    db.transaction(async (sql) => {
      const forged = forge(await ownContext(sql), victim);
      await sql`select set_config('kennel.tenant', ${forged}, true)`;
      return sql`select id from pets where id = ${victim.petId}`;
    }),
  );
}

function forgeWithin(db: Db, victim: Victim, forge: Forgery): Promise<boolean> {
  return admitted(
    db.transaction(async (sql) => {
      const forged = forge(await ownContext(sql), victim);
      const rows = await sql<{ found: string }>`
        select set_config('kennel.tenant', ${forged}, true) as found
        union all select id::text from pets`;
      return rows.filter(({ found }) => found === victim.petId);
    }),
  );
}

async function ownContext(sql: Sql): Promise<string> {
  const [row] = await sql<{ own: string }>`select current_setting('kennel.tenant') as own`;
  return row?.own ?? '';
}

/**
 * Inserts a pet of the tenant itself.
 *
 * @returns its id.
 */
export async function addPet(db: Db | Sql, id: string = randomUUID()): Promise<string> {
  await db`insert into pets (id, name, species) values (${id}, 'Rex', 'dog')`;
  return id;
}

function addVisit(db: Db, petId: string): Promise<object[]> {
  return db`
    insert into visits (id, pet_id, visited_on, reason)
    values (${randomUUID()}, ${petId}, '2024-01-01', 'Cough')`;
}

/** Whether any row came back. A statement may fail for a missing right, and for no other reason. */
async function admitted(attempt: Promise<object[]>): Promise<boolean> {
  try {
    return (await attempt).length > 0;
  } catch (error) {
    assert.equal(codeOf(error), '42501', String(error));
    return false;
  }
}

async function outcome(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'done';
  } catch (error) {
    return codeOf(error);
  }
}
