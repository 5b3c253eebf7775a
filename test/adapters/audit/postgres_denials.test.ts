import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { GatheredDenial } from '../../../src/adapters/audit/held_denials.ts';
import { postgresDenials } from '../../../src/adapters/audit/postgres_denials.ts';
import type { AuditDetails } from '../../../src/kernel/audit_event.ts';
import type { TenantId } from '../../../src/kernel/tenant.ts';
import { type Registered, register } from '../../support/registered.ts';
import { lookInto } from '../../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';
import { until } from '../../support/until.ts';

type Row = { event: string; tenant: string | null; audience: string; details: AuditDetails };

describe('postgresDenials()', () => {
  let fixture: TenantFixture;
  let acme: Registered;
  before(async () => {
    fixture = await openTenantFixture(1);
    acme = await register(fixture.services.control, 'acme');
    await register(fixture.services.control, 'rival');
  });
  after(() => fixture.close());
  beforeEach(() => fixture.asSuperuser(fixture.placementOf(acme), 'truncate control.audit_events'));

  async function write(...denials: Partial<GatheredDenial>[]): Promise<Row[]> {
    const { control } = fixture.services;
    await postgresDenials(
      control,
      randomUUID,
    )(
      denials.map((denial) => ({
        event: 'authentication_failed',
        actor: 'anonymous',
        tenantId: null,
        requestedSlug: null,
        requestId: 'r-1',
        details: {},
        count: 1,
        isSingle: false,
        ...denial,
      })),
    );
    const rows = await control<Row>`
      select event, tenant, audience, details from control.audit_events`;
    return rows.map((row) => ({ ...row }));
  }

  const attempt = { event: 'cross_tenant_access_attempt', actor: 'user:u-1' } as const;

  it('records a cross-tenant attempt for the operator alone, with user and both tenants', async () => {
    const denial = { ...attempt, tenantId: acme.id, requestedSlug: 'rival', count: 3 };
    assert.deepEqual(await write(denial), [
      {
        event: 'cross_tenant_access_attempt',
        tenant: 'acme',
        audience: 'operator',
        details: { user: 'u-1', user_tenant: 'acme', requested_tenant: 'rival', count: 3 },
      },
    ]);
  });

  it('does not record an attempt on a slug that no tenant has', async () => {
    assert.deepEqual(await write({ ...attempt, tenantId: acme.id, requestedSlug: 'nobody' }), []);
  });

  it('records failed logins on unknown slugs as one row', async () => {
    const rows = await write(
      { requestedSlug: 'guess-1', count: 2 },
      { requestedSlug: 'guess-2' },
      { requestedSlug: 'rival' },
    );
    assert.deepEqual(
      rows.map(({ tenant, details }) => [tenant, details.count]).sort(),
      [
        [null, 3],
        ['rival', 1],
      ].sort(),
    );
  });

  it('records single denials by themselves', async () => {
    const both = (requestedSlug: string) =>
      ['r-1', 'r-2'].map((requestId) => ({ requestedSlug, requestId, isSingle: true }));
    const known = await write(...both('rival'));
    assert.deepEqual(
      known.map(({ details }) => details.count),
      [1, 1],
    );
  });

  it("records an anonymous failure with the tenant's name but outside its chain", async () => {
    const { control } = fixture.services;
    const chains = () => control<{ chain: string }>`
      select chain from control.audit_chains where chain in (
        select id from control.tenants where slug = 'rival')`;
    const [row] = await write({ requestedSlug: 'rival' });
    assert.equal(row?.tenant, 'rival');
    assert.deepEqual(await chains(), []);
  });

  it('records a rate limit denial for the tenant to read', async () => {
    const [row] = await write({ event: 'rate_limit_exceeded', tenantId: acme.id });
    assert.deepEqual([row?.tenant, row?.audience], ['acme', 'tenant']);
  });

  describe('two concurrent batches', () => {
    const slugs = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];
    let trees: Registered[];
    before(async () => {
      const { control } = fixture.services;
      trees = await Promise.all(slugs.map((slug) => register(control, slug)));
      trees.sort((one, two) => (one.id < two.id ? -1 : 1));
      for (const { id } of trees) await writeAll([id]);
    });

    const writeAll = (ids: TenantId[]) =>
      postgresDenials(
        fixture.services.control,
        randomUUID,
      )(
        ids.map((tenantId) => ({
          event: 'rate_limit_exceeded',
          actor: 'operator',
          tenantId,
          requestedSlug: null,
          requestId: 'r-1',
          details: {},
          count: 1,
          isSingle: false,
        })),
      );

    const unordered = (ids: TenantId[]) =>
      lookInto(
        fixture.url,
        (sql) => sql`
          insert into control.audit_events (id, event, actor, tenant_id, audience, details)
          select gen_random_uuid(), 'rate_limit_exceeded', 'operator', id, 'tenant', '{}'
          from unnest(${ids}::uuid[]) as id`,
      );

    /** Locks the middle chain until both writers have written all that they can before it. */
    async function atOnce(insert: (ids: TenantId[]) => Promise<unknown>) {
      const ids = trees.map(({ id }) => id);
      return lookInto(fixture.url, async (sql) => {
        const both = await sql.begin(async (held) => {
          await held`select from control.audit_chains where chain = ${String(ids[2])} for update`;
          const batches = [insert(ids), insert(ids.toReversed())];
          const settled = Promise.allSettled(batches);
          await until(async () => (await waiting()) === 2);
          return { settled };
        });
        return (await both.settled).map(({ status }) => status).sort();
      });
    }

    /**
     * From a separate session: a transaction sees the others as they were at its first statement.
     */
    async function waiting(): Promise<number> {
      const rows = await lookInto(
        fixture.url,
        (sql) => sql`
          select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length;
    }

    it('both succeed in whatever order their denials are', async () => {
      assert.deepEqual(await atOnce(writeAll), ['fulfilled', 'fulfilled']);
    });

    it('control: deadlock when they lock the chains in their own order', async () => {
      assert.deepEqual(await atOnce(unordered), ['fulfilled', 'rejected']);
    });
  });
});
