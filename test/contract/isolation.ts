/**
 * The contract of every isolation adapter, wherever it stores its tenants' tables. Row security is
 * the last layer in all modes, so the other tenant's rows are inserted into the very table that is
 * attacked.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Connections, openTenantDb } from '../../src/isolation/tenant_db.ts';
import { Refusal } from '../../src/kernel/errors.ts';
import type { Db, Isolation, TenantRef } from '../../src/kernel/ports.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { Envelopes } from '../../src/postgres/envelope.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { connectionLimits } from '../support/connection.ts';
import { envelopeOf, openingScript } from '../support/envelopes.ts';
import { hostileTexts } from '../support/hostile_texts.ts';
import { addPet, keyProbes, type Probe, rowProbes, sealProbes } from './isolation_probes.ts';
import { granted, guardsOff, insertPet, type TwoTenants, twoTenants } from './two_tenants.ts';

/** The suite. All calls share one connection. */
export function isolationContract(mode: string): void {
  describe(`${mode} isolation`, () => {
    const { rowSecurity, tenantKeys, seal } = guardsOff;
    const { settings, deletion } = granted;
    testGuard('row security', rowProbes, mode, { off: rowSecurity, besides: deletion });
    testGuard('keys that begin with the tenant', keyProbes, mode, { off: tenantKeys });
    testGuard('the seal', sealProbes, mode, { off: seal, besides: settings });
    testGuard('the ban on set_config()', sealProbes, mode, { off: settings, besides: seal });
    const { 'a delete': aDelete } = rowProbes;
    assert.ok(aDelete);
    testGuard('the ban on deletes', { aDelete }, mode, { off: deletion, besides: rowSecurity });
    contextEnds(mode);
    contextIsNeeded(mode);
    crowd(mode);
    lists(mode);
    transactions(mode);
  });
}

/** Each probe against the guard alone, and as a control with the guard off too. */
function testGuard(
  guard: string,
  probes: Readonly<Record<string, Probe>>,
  mode: string,
  { off, besides = '' }: { off: string; besides?: string },
): void {
  describe(`guarded by ${guard} alone`, () => {
    const guarded = twoTenants(mode, besides);
    for (const [name, probe] of Object.entries(probes)) {
      it(`hides another tenant's rows from ${name}`, async () =>
        assert.equal(await leaks(guarded(), probe), false));
    }
  });

  describe(`control: without ${guard}`, () => {
    const open = twoTenants(mode, `${besides}; ${off}`);
    for (const [name, probe] of Object.entries(probes)) {
      it(`shows another tenant's rows to ${name}`, async () =>
        assert.equal(await leaks(open(), probe), true));
    }
  });
}

async function leaks(
  { fixture, isolation, one, other }: TwoTenants,
  probe: Probe,
): Promise<boolean> {
  const placement = fixture.placementOf(one);
  const petId = await insertPet(fixture, placement, other);
  const victim = { id: other.id, petId, sealKey: placement.sealKey };
  return isolation.run(one, (db) => probe(db, victim));
}

/** How a tenant's work may end before the next tenant's begins on the same connection. */
const endings: Readonly<Record<string, (db: Db) => Promise<unknown>>> = {
  'a statement': (db) => addPet(db),
  'a commit': (db) => db.transaction((sql) => addPet(sql)),
  'a rollback': (db) =>
    db.transaction(async (sql) => {
      await addPet(sql);
      throw new Refusal('conflict');
    }),
  'an error in a statement': (db) => db`select 1 / 0`,
  'an error in a transaction': (db) => db.transaction((sql) => sql`select 1 / 0`),
  'injected settings of the session': (db) => db`select
    set_config('default_transaction_read_only', 'on', false),
    set_config('search_path', 'pg_catalog', false),
    set_config('row_security', 'off', false),
    set_config('default_transaction_isolation', 'serializable', false)`,
  'an injected context': (db) => db`select set_config('role', 'none', false),
    set_config('kennel.tenant', current_setting('kennel.tenant'), false)`,
};

function contextEnds(mode: string): void {
  describe('gives the next tenant on the same connection its own rows', () => {
    const current = twoTenants(mode, granted.settings);
    for (const [ending, work] of Object.entries(endings)) {
      it(`after ${ending}`, async () => {
        const { fixture, one, next } = current();
        const placement = fixture.placementOf(one);
        const isolation = fixture.allIn(placement);
        await insertPet(fixture, placement, { ...one, id: tenantId(randomUUID()) });
        const pid = (db: Db) => db<{ pid: number }>`select pg_backend_pid() as pid`;
        const before = await isolation.run(one, pid);
        await isolation.run(one, work).catch(() => {});
        await isolation.run(one, (db) => db`update pets set deleted = true`);
        const petId = await isolation.run(next, addPet);
        const rows = await isolation.run(
          next,
          (db) => db`
            update pets set deleted = true where not deleted
            returning id, tenant_id`,
        );
        assert.deepEqual([...rows], [{ id: petId, tenant_id: next.id }]);
        assert.deepEqual(await isolation.run(next, pid), before);
      });
    }
  });
}

function contextIsNeeded(mode: string): void {
  const tables = ['pets', 'visits'];

  /** A tenant's envelope, ended as after each statement. */
  const local = ({ fixture, one, next }: TwoTenants, { pid }: Connection) =>
    `${openingScript(fixture.placementOf(one), next.id, pid)}; commit`;
  const lasting = (twoTenants: TwoTenants, connection: Connection) =>
    local(twoTenants, connection).replaceAll('set local', 'set');

  /** The answer of each table to a session that has the role and the schema, but no tenant. */
  async function answers(
    twoTenants: TwoTenants,
    before: (twoTenants: TwoTenants, connection: Connection) => string,
  ) {
    const { fixture, one, next } = twoTenants;
    const placement = fixture.placementOf(one);
    await fixture.asSuperuser(placement, 'delete from pets');
    await fixture.allIn(placement).run(next, addPet);
    const opening = envelopeOf({ role: placement.role, search_path: `"${placement.schema}"` });
    const answer = async (table: string) => {
      const connection = await Connection.open(withoutContext(placement.url), connectionLimits);
      await connection.script(before(twoTenants, connection));
      const text = Object.assign([`select from ${table}`], { raw: [] });
      return connection
        .statement(opening, text, [])
        .then(
          (rows) => `${rows.length} rows`,
          (error) => `${codeOf(error)} ${error.message}`,
        )
        .finally(() => connection.close());
    };
    return Promise.all(tables.map(answer));
  }

  describe('answers 42501 without a context', () => {
    const current = twoTenants(mode, granted.settings);
    const refused = tables.map(() => '42501 no tenant context');
    it('in a new session', async () => {
      assert.deepEqual(await answers(current(), () => ''), refused);
    });
    it('after a transaction with a local context', async () => {
      assert.deepEqual(await answers(current(), local), refused);
    });
    it("control: shows the previous tenant's rows after a context that was not local", async () => {
      assert.deepEqual(await answers(current(), lasting), ['1 rows', '0 rows']);
    });
  });

  describe('control: answers an empty list without a context and without the seal', () => {
    const current = twoTenants(mode, `${granted.settings}; ${guardsOff.seal}`);
    it('in a new session', async () => {
      assert.deepEqual(await answers(current(), () => ''), ['0 rows', '0 rows']);
    });
  });
}

async function seesOwnAlone(isolation: Isolation, tenant: TenantRef): Promise<boolean> {
  return isolation.run(tenant, async (db) => {
    await addPet(db);
    const rows = await db<{ tenant_id: string }>`select tenant_id from pets`;
    assert.ok(rows.length > 0);
    return rows.every(({ tenant_id }) => tenant_id === tenant.id);
  });
}

/** A call may wait for it as long as a busy machine needs to serve all others. */
function oneConnection(): Connections {
  const pool = openConnectionPool(connectionLimits, {
    ...limits.connections,
    connections: 1,
    connectionsPerTenant: 1,
    waitLimitMs: 60_000,
  });
  return { pool, envelopes: new Envelopes(100) };
}

function crowd(mode: string): void {
  // A connection that changes databases for each call is slow.
  const tenants = mode === 'database' ? 3 : 12;
  const rounds = 4;

  /** Tenants that see a row of another tenant when all insert and read at once. */
  async function confused(
    { fixture }: TwoTenants,
    placementOf: (tenant: TenantRef) => Placement,
  ): Promise<number> {
    const connections = oneConnection();
    const isolation: Isolation = {
      run: (tenant, work) => openTenantDb(connections, placementOf(tenant), tenant.id, work),
    };
    const all: TenantRef[] = [];
    while (all.length < tenants) all.push(await fixture.tenant(mode));
    const seen: boolean[] = [];
    for (let round = 0; round < rounds; round += 1) {
      seen.push(...(await Promise.all(all.map((tenant) => seesOwnAlone(isolation, tenant)))));
    }
    connections.pool.close();
    return seen.filter((own) => !own).length;
  }

  describe('keeps many tenants apart on a single connection', () => {
    const current = twoTenants(mode);
    it('each in its own placement', async () => {
      assert.equal(await confused(current(), current().fixture.placementOf), 0);
    });
    if (mode === 'database') return;
    it('all in one placement', async () => {
      const { fixture, one } = current();
      assert.equal(await confused(current(), () => fixture.placementOf(one)), 0);
    });
  });

  if (mode === 'database') return;
  describe('control: mixes up many tenants on a single connection without row security', () => {
    const current = twoTenants(mode, guardsOff.rowSecurity);
    it('all in one placement', async () => {
      const { fixture, one } = current();
      assert.notEqual(await confused(current(), () => fixture.placementOf(one)), 0);
    });
  });
}

function lists(mode: string): void {
  describe('takes a list as one parameter', () => {
    const current = twoTenants(mode);
    it('and finds the rows of its elements, whatever they hold', async () => {
      const { isolation, one } = current();
      const names = hostileTexts.filter((text) => text !== '');
      const found = await isolation.run(one, async (db) => {
        await db`
          insert into pets (id, name, species)
          select id, name, 'dog'
          from unnest(${names.map(() => randomUUID())}::uuid[], ${names}::text[]) as pet (id, name)`;
        await addPet(db);
        return db<{ name: string }>`select name from pets where name = any (${names})`;
      });
      assert.deepEqual(found.map(({ name }) => name).sort(), names.toSorted());
    });
  });
}

/** Returns a session URL whose sessions begin without a context. */
function withoutContext(sessionUrl: string): string {
  const url = new URL(sessionUrl);
  url.searchParams.delete('kennel.tenant');
  return url.href;
}

function transactions(mode: string): void {
  describe('a transaction', () => {
    const current = twoTenants(mode);
    const countPets = async () => {
      const { isolation, one } = current();
      return (await isolation.run(one, (db) => db`select id from pets`)).length;
    };

    it('commits nothing when the work throws', async () => {
      const { isolation, one } = current();
      const work = isolation.run(one, (db) =>
        db.transaction(async (sql) => {
          await addPet(sql);
          throw new Refusal('conflict');
        }),
      );
      await assert.rejects(work, { code: 'conflict' });
      assert.equal(await countPets(), 0);
    });

    it('commits nothing when the error of a statement is caught', async () => {
      const { isolation, one } = current();
      const work = isolation.run(one, (db) =>
        db.transaction(async (sql) => {
          await addPet(sql);
          await sql`select 1 / 0`.catch(() => {});
        }),
      );
      await assert.rejects(work, /^Error: Cannot commit: the server said ROLLBACK$/);
      assert.equal(await countPets(), 0);
    });

    it('takes no statement after its end, nor does a db after its request', async () => {
      const { isolation, one } = current();
      const [db, sql] = await isolation.run(one, async (own) => {
        return [own, await own.transaction(async (sql) => ({ sql }))] as const;
      });
      await assert.rejects(async () => db`select 1`, /its request has ended/);
      await assert.rejects(async () => db.transaction(addPet), /its request has ended/);
      await assert.rejects(async () => sql.sql`select 1`, /its transaction has ended/);
    });
  });
}
