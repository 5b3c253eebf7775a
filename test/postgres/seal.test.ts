import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import { CheckedPipeline } from '../../src/postgres/checked_pipeline.ts';
import { openSession } from '../../src/postgres/connect.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { beginning, envelope, groups } from '../../src/postgres/envelope.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { query, sync } from '../../src/postgres/protocol/messages.ts';
import { pads, sealedContext } from '../../src/postgres/seal.ts';
import { connectionLimits } from '../support/connection.ts';
import { openingScript } from '../support/envelopes.ts';
import { lookInto } from '../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';

const acme = tenantId('01890000-0000-7000-8000-000000000001');

function sha256(...parts: Buffer[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

const acmeAt3 = { tenant: acme, generation: 3 };

describe('sealedContext()', () => {
  it('has an HMAC over tenant, generation and pid', () => {
    const key = randomBytes(32);
    const mac = createHmac('sha256', key).update(`${acme}:3:42`).digest('hex');
    assert.equal(sealedContext(key, acmeAt3, 42), `${acme}.3.${mac}`);
  });

  it('can be computed from the pads with two hashes', () => {
    const key = randomBytes(32);
    const { inner, outer } = pads(key);
    const mac = sha256(outer, sha256(inner, Buffer.from(`${acme}:3:42`)));
    assert.equal(sealedContext(key, acmeAt3, 42), `${acme}.3.${mac.toString('hex')}`);
  });
});

describe('kernel.tenant()', () => {
  let fixture: TenantFixture;
  let tenant: TenantRef;
  let placement: Placement;
  before(async () => {
    fixture = await openTenantFixture(1);
    tenant = await fixture.tenant('shared');
    placement = fixture.placementOf(tenant);
  });
  after(() => fixture.close());

  /** The answer, or the code of its error, in a session with this context and search path. */
  async function answer(contextOf: (pid: number) => string, path = 'pg_catalog'): Promise<string> {
    const connection = await Connection.open(placement.url, connectionLimits);
    const opening = `begin; set local role "${placement.role}"; set local search_path = ${path};
      set local kennel.tenant = '${contextOf(connection.pid)}'`;
    try {
      const [row] = await connection.transaction(opening, (sql) => {
        return sql<{ id: string }>`select kernel.tenant() as id`;
      });
      return row?.id ?? 'nothing';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : 'no code';
    } finally {
      connection.close();
    }
  }

  it('accepts a seal of its own backend', async () => {
    const { id } = tenant;
    assert.equal(
      await answer((pid) => sealedContext(placement.sealKey, { tenant: id, generation: 0 }, pid)),
      id,
    );
  });

  it('refuses a seal of another backend', async () => {
    const { id } = tenant;
    assert.equal(
      await answer((pid) =>
        sealedContext(placement.sealKey, { tenant: id, generation: 0 }, pid + 1),
      ),
      '42501',
    );
  });

  it('refuses a seal with the key of another placement', async () => {
    const { id } = tenant;
    const { sealKey } = fixture.placementOf({ ...tenant, isolation: 'database' });
    assert.equal(
      await answer((pid) => sealedContext(sealKey, { tenant: id, generation: 0 }, pid)),
      '42501',
    );
  });

  for (const context of [
    '',
    '.',
    acme,
    `${acme}.`,
    `${acme}.x.y`,
    `${acme}.0.${'0'.repeat(64)}`,
    'x'.repeat(10_000),
  ]) {
    it(`refuses the context "${context.slice(0, 40)}"`, async () => {
      assert.equal(await answer(() => context), '42501');
    });
  }

  it('ignores another sha256() in the search_path', async () => {
    await fixture.asSuperuser(
      placement,
      `create schema hostile;
       grant usage on schema hostile to public;
       create function hostile.sha256(bytea) returns bytea language sql as $$ select '\\x00'::bytea $$`,
    );
    assert.equal(await answer(() => `${tenant.id}.0.00`, 'hostile, pg_catalog'), '42501');
  });

  it("can be executed by the placement's role and not by public", async () => {
    const mayCall = (role: string) =>
      fixture.asSuperuser(
        placement,
        `select has_function_privilege('${role}', 'kernel.tenant()', 'execute') as may`,
      );
    assert.deepEqual([...(await mayCall(placement.role))], [{ may: true }]);
    assert.deepEqual([...(await mayCall('public'))], [{ may: false }]);
  });

  it('accepts seals of both keys during a rotation', async () => {
    const { id } = tenant;
    const next = randomBytes(32);
    const { inner, outer } = pads(next);
    await fixture.asSuperuser(
      placement,
      `insert into kernel.seal_keys
       values (2, '\\x${inner.toString('hex')}', '\\x${outer.toString('hex')}')`,
    );
    for (const key of [next, placement.sealKey]) {
      assert.equal(
        await answer((pid) => sealedContext(key, { tenant: id, generation: 0 }, pid)),
        id,
      );
    }
  });

  it('hides its keys from every serving role', async () => {
    const { roles } = fixture.services.fleet.installation;
    for (const role of [roles.app, roles.account, roles.serve, roles.control]) {
      const [row] = await fixture.asSuperuser(
        placement,
        `select has_table_privilege('${role}', 'kernel.seal_keys', 'select') as may`,
      );
      assert.equal(row?.may, false);
    }
  });

  /** The statement of one session's messages that another session of the login can read. */
  async function overheard(
    messagesOf: (...tenant: Parameters<typeof envelope>) => Buffer,
  ): Promise<string> {
    const [{ pid, socket }, listener] = await Promise.all([
      openSession(placement.url, connectionLimits),
      Connection.open(placement.url, connectionLimits),
    ]);
    const speaker = new CheckedPipeline(socket, connectionLimits);
    try {
      await speaker.run(groups.preparation);
      await speaker.run(messagesOf(placement, tenant.id, pid), 'T');
      const [row] = await listener.plain<{ query: string | null }>`
        select query from pg_stat_activity where pid = ${pid}`;
      return row?.query ?? '';
    } finally {
      speaker.close();
      listener.close();
    }
  }

  const asScript: typeof asEnvelope = (...tenant) => query(openingScript(...tenant));

  /** An envelope as it is sent, without the statement behind it, which would be read instead. */
  function asEnvelope(...tenant: Parameters<typeof envelope>): Buffer {
    return Buffer.concat([beginning(envelope(...tenant)).before, sync]);
  }

  it('has seals that other sessions of the login cannot read in pg_stat_activity', async () => {
    assert.doesNotMatch(await overheard(asScript), /kennel\.tenant/);
  });

  it('control: has seals that those sessions can read while activity is tracked', async () => {
    const { serve } = fixture.services.fleet.installation.roles;
    await lookInto(fixture.url, (sql) => sql`alter role ${sql(serve)} reset track_activities`);
    assert.match(await overheard(asScript), /kennel\.tenant' |kennel\.tenant =/);
  });

  it('has seals as parameters, which are hidden even while activity is tracked', async () => {
    const heard = await overheard(asEnvelope);
    assert.match(heard, /kennel\.tenant/);
    assert.doesNotMatch(heard, new RegExp(tenant.id));
  });
});
