/**
 * Postgres checks most rights only once it has the lock, and all other sessions queue behind the
 * one that waits for it.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { openTenantDb } from '../../src/isolation/tenant_db.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import type { Trace } from '../../src/kernel/trace.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import { Envelopes, envelope } from '../../src/postgres/envelope.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { connectionLimits } from '../support/connection.ts';
import { lookInto } from '../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';
import { until } from '../support/until.ts';

const violation = { name: 'IsolationViolation' };

const injected = (text: string) => Object.assign([text], { raw: [text] });

/** One statement of each kind, and ways to hide the kind. */
const noQueries = [
  'lock table pets in access share mode',
  'drop policy tenant_rows on pets',
  'drop trigger if exists x on pets',
  'drop table pets',
  'alter table pets disable row level security',
  "alter role current_user set statement_timeout = '0'",
  'create rule x as on select to pets do instead nothing',
  'create temporary table pets (id int)',
  "comment on table pets is 'x'",
  'truncate pets',
  'vacuum pets',
  'analyze pets',
  'reindex table pets',
  'cluster pets',
  'refresh materialized view pets',
  "security label on table pets is 'x'",
  'grant select on pets to public',
  'prepare x as select 1',
  'execute x',
  'deallocate all',
  'declare x cursor for select 1',
  'fetch x',
  "set lock_timeout = '0'",
  'set role none',
  'reset role',
  'show all',
  'discard all',
  'copy pets to stdout',
  'call x()',
  'do $$ begin end $$',
  'explain analyze select 1',
  'listen x',
  'notify x',
  "load 'x'",
  'begin',
  'commit',
  'rollback',
  'savepoint x',
  "prepare transaction 'x'",
  'checkpoint',
  'table pets',
  '/**/ lock table pets',
  '/* select */ lock table pets',
  '-- select\nlock table pets',
  '(select 1)',
  ';select 1',
  '\u0000select 1',
  'selection',
  'select_1',
  '',
  ' ',
];

const queries = [
  'select 1',
  ' \n\t SELECT 1',
  'select(1)',
  'values (1)',
  'with one as (select 1) select from one',
  'insert into pets default values',
  'update pets set name = name',
  'delete from pets',
  'merge into pets using pets as others on false when matched then do nothing',
];

describe("a tenant's db", () => {
  let fixture: TenantFixture;
  before(async () => {
    fixture = await openTenantFixture(2);
  });
  after(() => fixture.close());

  it('refuses statements that are not queries before it opens a connection', async () => {
    const opened: string[] = [];
    const pool = new ConnectionPool(
      async (url) => {
        opened.push(url);
        throw new Error('opened');
      },
      { ...limits.connections, connections: 1, connectionsPerTenant: 1 },
    );
    await openTenantDb(
      { pool, envelopes: new Envelopes(1) },
      fixture.services.fleet.installation.placement('shared'),
      tenantId(randomUUID()),
      async (db) => {
        for (const text of noQueries) await assert.rejects(db(injected(text)), violation, text);
        assert.deepEqual(opened, []);
        for (const text of queries) await assert.rejects(db(injected(text)), /opened/, text);
        assert.equal(opened.length, queries.length);
      },
    );
    pool.close();
  });

  it('refuses statements that are not queries in a transaction, which then fails', async () => {
    const one = await fixture.tenant('shared');
    const isolation = fixture.allIn(fixture.placementOf(one));
    for (const text of noQueries) {
      const work = isolation.run(one, (db) => db.transaction((sql) => sql(injected(text))));
      await assert.rejects(work, violation, text);
    }
    const rows = await isolation.run(one, (db) => db.transaction((sql) => sql`select 1 as one`));
    assert.deepEqual(rows, [{ one: 1 }]);
  });

  it('reads the plan of a write in a transaction that it rolls back', async () => {
    const tenant = await fixture.tenant('shared');
    let plan: readonly string[] = [];
    const trace: Trace = {
      ...{ stage() {}, note() {}, refused() {} },
      call: () => ({
        ...{ sent() {}, answered() {} },
        plan: async (read) => {
          plan = await read();
        },
      }),
    };
    const ids = await fixture.services.isolation.run(
      tenant,
      async (db) => {
        await db`insert into pets (id, name, species) values (${randomUUID()}, 'Rex', 'dog')`;
        return db`select id from pets`;
      },
      trace,
    );
    assert.equal(ids.length, 1);
    assert.match(plan.join(), /Scan.*tenant_id = /);
  });

  const rule = injected('create rule x as on insert to pets do also nothing');

  /**
   * Whether all others would queue behind the statement while a long transaction reads the table.
   */
  async function waits(work: (tenant: TenantRef, placement: Placement) => Promise<unknown>) {
    const tenant = await fixture.tenant('shared');
    return lookInto(fixture.url, (sql) =>
      sql.begin(async (reading) => {
        await reading`lock table shared.pets in access share mode`;
        const waiters = async () =>
          (
            await reading`select from pg_locks where not granted and relation = 'shared.pets'::regclass`
          ).length;
        let refused = false;
        const refusal = assert.rejects(work(tenant, fixture.placementOf(tenant)));
        void refusal.then(() => {
          refused = true;
        });
        let seen = 0;
        await until(async () => {
          seen = await waiters();
          return refused || seen > 0;
        });
        await refusal;
        return seen > 0;
      }),
    );
  }

  it('does not wait for a lock that it has no right to', async () => {
    const ask = (tenant: TenantRef, placement: Placement) =>
      fixture.allIn(placement).run(tenant, (db) => db(rule));
    assert.equal(await waits(ask), false);
  });

  it('control: Postgres itself waits for the lock before it checks the right', async () => {
    const ask = async ({ id }: TenantRef, placement: Placement) => {
      // Long enough to be seen waiting on a busy machine.
      const patient = { ...connectionLimits, lockTimeoutMs: 1_500 };
      const connection = await Connection.open(placement.url, patient);
      await connection
        .statement(envelope(placement, id, connection.pid), rule, [])
        .finally(() => connection.close());
    };
    assert.equal(await waits(ask), true);
  });
});
