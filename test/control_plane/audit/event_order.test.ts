/** Number, time and place of an event say the same of what came first. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sql, TransactionSql } from 'postgres';
import { type AuditTrail, openAuditTrail } from '../../support/audit_trail.ts';
import type { Registered } from '../../support/registered.ts';
import { lookInto } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

let trail: AuditTrail;

before(async () => {
  trail = await openAuditTrail();
});

after(() => trail.close());

function inSession<Result>(look: (sql: Sql) => Promise<Result>): Promise<Result> {
  return lookInto(trail.services.fleet.installation.adminUrl, look);
}

async function add(sql: TransactionSql, { id }: Registered, actor: string): Promise<void> {
  await sql`
    insert into control.audit_events (id, event, actor, tenant_id, audience, details)
    values (gen_random_uuid(), 'config_changed', ${actor}, ${id}, 'tenant', '{}')`;
}

async function isWaiting(): Promise<boolean> {
  const rows = await inSession(
    (sql) => sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
}

describe('a transaction that begins first and commits last', () => {
  /** Its event waits for the chain, which a later transaction holds and lengthens once more. */
  async function overtaken(tenant: Registered): Promise<void> {
    await inSession((slow) =>
      slow.begin(async (first) => {
        await first`select`;
        const waiting = await inSession((fast) =>
          fast.begin(async (second) => {
            await add(second, tenant, 'second');
            const added = add(first, tenant, 'first');
            await until(isWaiting);
            await add(second, tenant, 'second');
            return { added };
          }),
        );
        await waiting.added;
      }),
    );
  }

  it('has its event behind the others by number, by time and by place', async () => {
    const tenant = await trail.tenant();
    await overtaken(tenant);
    const [orders] = await trail.services.control`
      select jsonb_agg(actor order by seq) as seq, jsonb_agg(actor order by time) as time,
        jsonb_agg(actor order by position) as position
      from control.audit_events
      where tenant_id = ${tenant.id} and actor in ('first', 'second')`;
    const expected = ['second', 'second', 'first'];
    assert.deepEqual(orders, { seq: expected, time: expected, position: expected });
  });
});

describe('events of two tenants at once', () => {
  /** Many in a statement, so that hardly anything but the trigger runs. */
  const addMany = ({ id }: Registered) =>
    inSession(async (sql) => {
      for (let turn = 0; turn < 20; turn += 1) {
        await sql`
          insert into control.audit_events (id, event, actor, tenant_id, audience, details)
          select gen_random_uuid(), 'config_changed', 'operator', ${id}, 'tenant', '{}'
          from generate_series(1, 500)`;
      }
    });

  it('have their times in the order of their numbers', async () => {
    const tenants = [await trail.tenant(), await trail.tenant()];
    await Promise.all(tenants.map(addMany));
    const misplaced = await trail.services.control`
      select seq
      from (
        select seq, time, lag(time) over (order by seq) as before from control.audit_events
      ) as event
      where time < before`;
    assert.deepEqual(misplaced, []);
  });
});
