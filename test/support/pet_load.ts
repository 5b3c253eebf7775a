/**
 * Mixed load of many tenants, in which every row states its tenant: its name is its tenant's id. So
 * a row that was read or written by the wrong tenant is detected wherever it turns up.
 */

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../../src/kernel/errors.ts';
import type { Isolation, TenantRef } from '../../src/kernel/ports.ts';
import type { TenantId } from '../../src/kernel/tenant.ts';
import { choose } from './random.ts';

type Row = { tenant_id: TenantId; name: string };

/** The rows that a call adds, all or none. */
type Write = { tenant: TenantRef; ids: string[] };

export type Tally = {
  calls: number;
  /** Answered with `unavailable`. */
  refused: number;
  /** Rows of another tenant that were read. */
  foreign: Row[];
  /** Errors that no client should see. */
  odd: unknown[];
  /** Calls that did not end in time. */
  endless: number;
  acknowledged: Write[];
  /** Rows of calls for which it is unknown whether they were committed. */
  doubtful: Write[];
};

export type PetLoadOptions = {
  isolation: Isolation;
  tenants: readonly TenantRef[];
  callers: number;
  forMs: number;
  /** A call that takes longer counts as endless. */
  callLimitMs: number;
  random: () => number;
};

export async function runPetLoad(options: PetLoadOptions): Promise<Tally> {
  const tally: Tally = {
    calls: 0,
    refused: 0,
    foreign: [],
    odd: [],
    endless: 0,
    acknowledged: [],
    doubtful: [],
  };
  const endsAt = performance.now() + options.forMs;
  const callOn = async () => {
    while (performance.now() < endsAt) await callOnce(options, tally);
  };
  await Promise.all(Array.from({ length: options.callers }, callOn));
  return tally;
}

async function callOnce({ isolation, tenants, callLimitMs, random }: PetLoadOptions, tally: Tally) {
  const tenant = choose(tenants, random);
  const call = choose([read, read, add, addTwo], random);
  const timer = new AbortController();
  const late = pause(callLimitMs, 'late', { signal: timer.signal }).catch(() => 'late');
  const done = call(isolation, tenant, tally).catch((error) => {
    if (error instanceof Refusal && error.code === 'unavailable') tally.refused += 1;
    else tally.odd.push(error);
  });
  tally.calls += 1;
  if ((await Promise.race([done, late])) === 'late') tally.endless += 1;
  timer.abort();
}

/** Reads the latest rows. */
export async function read(isolation: Isolation, tenant: TenantRef, tally: Pick<Tally, 'foreign'>) {
  const rows = await isolation.run(
    tenant,
    (db) => db<Row>`select tenant_id, name from pets order by created_at desc limit 10`,
  );
  tally.foreign.push(...rows.filter((row) => !isOf(row, tenant)));
}

/** True when the row is in the right tenant and was written for it. */
export function isOf({ tenant_id, name }: Row, { id }: TenantRef): boolean {
  return tenant_id === id && name === id;
}

function add(isolation: Isolation, tenant: TenantRef, tally: Tally): Promise<void> {
  const id = randomUUID();
  return recordOutcome({ tenant, ids: [id] }, tally, () =>
    isolation.run(
      tenant,
      (db) => db`insert into pets (id, name, species) values (${id}, ${tenant.id}, 'dog')`,
    ),
  );
}

function addTwo(isolation: Isolation, tenant: TenantRef, tally: Tally): Promise<void> {
  const ids = [randomUUID(), randomUUID()];
  return recordOutcome({ tenant, ids }, tally, () =>
    isolation.run(tenant, (db) =>
      db.transaction(async (sql) => {
        for (const id of ids) {
          await sql`insert into pets (id, name, species) values (${id}, ${tenant.id}, 'dog')`;
        }
      }),
    ),
  );
}

async function recordOutcome(written: Write, tally: Tally, write: () => Promise<unknown>) {
  try {
    await write();
    tally.acknowledged.push(written);
  } catch (error) {
    tally.doubtful.push(written);
    throw error;
  }
}
