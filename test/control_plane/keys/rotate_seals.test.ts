import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { rotateSeals } from '../../../src/control_plane/keys/rotate_seals.ts';
import { withDatabaseLock } from '../../../src/control_plane/provisioning/placement_lock.ts';
import type { NewTenant } from '../../../src/control_plane/provisioning/tenant_record.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { parseSlug } from '../../../src/kernel/tenant.ts';
import { tryWithLock } from '../../../src/postgres/advisory_lock.ts';
import { codeOf } from '../../../src/postgres/errors.ts';
import type { Placement } from '../../../src/postgres/placement.ts';
import { openServices } from '../../../src/services.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';
import { until } from '../../support/until.ts';

describe('rotateSeals()', () => {
  let fixture: TenantFixture;
  let tenants: TenantRef[];
  before(async () => {
    fixture = await openTenantFixture(8);
    tenants = await Promise.all(isolationModes.map((mode) => registered(mode)));
  });
  after(() => fixture.close());

  /** A tenant with a placement and a row in the registry, which names its database. */
  async function registered(mode: string, slug = `${mode}-farm`): Promise<TenantRef> {
    const tenant = await fixture.tenant(mode);
    await fixture.services.control`
      insert into control.tenants (id, slug, name, plan, status, isolation)
      values (${tenant.id}, ${slug}, 'Farm', 'free', 'active', ${mode})`;
    return tenant;
  }

  function destroy(tenant: TenantRef): Promise<void> {
    return fixture.services.fleet.modes.of(tenant).destroy(tenant, fixture.steps);
  }

  function rotate(onProgress: (step: string) => void = () => {}, propagationMs = 1): Promise<void> {
    const { fleet, jobLocks } = fixture.services;
    return rotateSeals(fleet, jobLocks, {
      propagationMs,
      concurrency: 2,
      onProgress,
      onWait: () => {},
    });
  }

  function call({ id, isolation, server, generation }: TenantRef): Promise<string> {
    return fixture.services.isolation.run({ id, isolation, server, generation }, addPet);
  }

  /** The result of one call of each tenant: `fine`, or the code of the error. */
  async function outcomes(): Promise<string[]> {
    return Promise.all(tenants.map((tenant) => call(tenant).then(() => 'fine', codeOf)));
  }

  /**
   * Keys that a tenant's database verifies seals with; in a tenant's own database, the contexts
   * that it accepts.
   */
  async function keysPerDatabase(): Promise<number[]> {
    const keys = {
      statement: 'select from kernel.seal_keys',
      session: `
        select from pg_proc, regexp_matches(prosrc, '[0-9a-f]{64}', 'g')
        where oid = 'kernel.tenant()'::regprocedure`,
    };
    const counts = tenants.map(async (tenant) => {
      const placement = fixture.placementOf(tenant);
      const rows = await fixture.asSuperuser(placement, keys[placement.context]);
      return rows.length;
    });
    return Promise.all(counts);
  }

  async function isWaitedFor({ database }: Placement): Promise<boolean> {
    const { account } = fixture.services.fleet.installation;
    const waiting = await fixture.asSuperuser(
      account,
      `select from pg_stat_activity where datname = '${database}' and wait_event = 'advisory'`,
    );
    return waiting.length > 0;
  }

  /** The secrets that seals are derived from. */
  async function seal(): Promise<string> {
    const { account } = fixture.services.fleet.installation;
    const read = `select encode(value, 'hex') as value from secrets where name = 'seal'`;
    const rows = await fixture.asSuperuser(account, read);
    return rows.map(({ value }) => String(value)).join();
  }

  it('fails no request of tenants that are being served', async () => {
    const failures: unknown[] = [];
    let rotating = true;
    const load = tenants.map(async (tenant) => {
      while (rotating) await call(tenant).catch((error) => failures.push(error));
    });
    try {
      for (let turn = 0; turn < 3; turn += 1) {
        // What a serving process does on the announcement.
        await rotate(() => void fixture.services.refreshSeals(), 2_000);
      }
    } finally {
      rotating = false;
    }
    await Promise.all(load);
    assert.deepEqual(failures, []);
    assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
  });

  it('makes a process with the old key fail with 42501 until it refreshes', async () => {
    await rotate();
    assert.deepEqual(await outcomes(), ['42501', '42501', '42501']);
    await fixture.services.refreshSeals();
    assert.deepEqual(await outcomes(), ['fine', 'fine', 'fine']);
  });

  for (const step of [1, 2]) {
    describe(`when it was killed after step ${step}`, () => {
      beforeEach(async () => {
        let steps = 0;
        const killed = rotate(() => {
          steps += 1;
          if (steps === step) throw new Error('killed');
        });
        await assert.rejects(killed, /^Error: killed$/);
      });
      afterEach(() => fixture.services.refreshSeals());

      it('is completed by the next rotation', async () => {
        await rotate();
        await fixture.services.refreshSeals();
        assert.deepEqual(await outcomes(), ['fine', 'fine', 'fine']);
        assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
      });

      it("gives a new tenant's database every valid key", async () => {
        const late = await fixture.tenant('database');
        await fixture.services.refreshSeals();
        await call(late);
        await rotate();
        await fixture.services.refreshSeals();
        assert.equal(await call(late).then(() => 'fine', codeOf), 'fine');
      });
    });
  }

  it('succeeds while tenants are created and deleted', async () => {
    const { onboarding } = fixture.services;
    const order = (name: string): NewTenant => {
      const slug = parseSlug(name);
      assert.ok(slug);
      return { slug, name, plan: 'free', isolation: 'database', adminEmail: 'a@example.com' };
    };
    const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
    const names = Array.from({ length: 8 }, (_, number) => `going-${number}`);
    for (const name of names) await onboarding.create(order(name), meta);
    let changing = true;
    const changes = (async () => {
      for (const name of names) {
        await onboarding.remove(order(name).slug, null);
        await onboarding.create(order(`new-${name}`), meta);
      }
    })().finally(() => {
      changing = false;
    });
    // Its error is thrown below.
    changes.catch(() => {});
    while (changing) await rotate(() => void fixture.services.refreshSeals(), 2_000);
    await changes;
    for (const name of names) await onboarding.remove(order(`new-${name}`).slug, null);
    assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
  });

  it('skips a database that is not provisioned yet', async () => {
    const tenant = await registered('database', 'unprepared');
    await fixture.asSuperuser(fixture.placementOf(tenant), 'drop schema kernel cascade');
    await rotate();
    await destroy(tenant);
    await fixture.services.refreshSeals();
  });

  it('skips a database that is dropped meanwhile', async () => {
    const { fleet } = fixture.services;
    const tenant = await registered('database', 'going');
    const placement = fixture.placementOf(tenant);
    let rotation = Promise.resolve();
    await withDatabaseLock(fleet, placement, async () => {
      rotation = rotate();
      await until(() => isWaitedFor(placement));
      await destroy(tenant);
    });
    await rotation;
    await fixture.services.refreshSeals();
  });

  it('completes when another process has added a server with a tenant meanwhile', async () => {
    const { account } = fixture.services.fleet.installation;
    const add = `
      insert into servers (name, url, status) values ('two', '${fixture.url}', 'active');
      insert into tenants (id, slug, name, plan, status, isolation, server)
      values (gen_random_uuid(), 'far-farm', 'Farm', 'free', 'provisioning', 'database', 'two')`;
    const remove =
      "delete from tenants where server = 'two'; delete from servers where name = 'two'";
    let added: Promise<unknown> | undefined;
    try {
      await rotate((step) => {
        if (step.includes('waiting')) added = fixture.asSuperuser(account, add);
      }, 1_000);
      assert.ok(added);
    } finally {
      await added;
      await fixture.asSuperuser(account, remove);
      await fixture.services.refreshSeals();
    }
    assert.deepEqual(await outcomes(), ['fine', 'fine', 'fine']);
  });

  describe('when a database cannot drop the old key', () => {
    /** The keys can be changed until the old one is to go. */
    const broken = `
      create function kernel.keep() returns trigger language plpgsql security definer as $$ begin
        if exists (select from control.secrets where name = 'retiring seal') then
          raise exception 'the old key stays';
        end if;
        return coalesce(new, old);
      end $$;
      create trigger keep before insert or update or delete on kernel.seal_keys
        for each row execute function kernel.keep()`;
    const fixed = 'drop function kernel.keep() cascade';

    it('updates all others, names that database, and resumes there the next time', async () => {
      const { account, database } = fixture.services.fleet.installation;
      await fixture.asSuperuser(account, broken);
      const steps: string[] = [];
      const failing = rotate((step) => steps.push(step));
      await assert.rejects(failing, new RegExp(`^Error: Cannot write .*: ${database}: `));
      assert.equal(steps.length, 2);
      // The main database holds the keys of two tenants.
      assert.deepEqual(await keysPerDatabase(), [2, 2, 1]);
      await fixture.asSuperuser(account, fixed);
      const before = await seal();
      steps.length = 0;
      await rotate((step) => steps.push(step));
      assert.deepEqual([steps.length, await seal()], [1, before]);
      assert.deepEqual(await keysPerDatabase(), [1, 1, 1]);
      await rotate();
      assert.notEqual(await seal(), before);
      await fixture.services.refreshSeals();
    });
  });

  it('refuses while another process is rotating', async () => {
    const environment = { DATABASE_URL: fixture.url };
    const other = await openServices(readConfig(environment), fixture.url);
    const { installation } = other.fleet;
    const url = installation.adminUrlOf(installation.main);
    let refused = false;
    try {
      // The lock that a rotation by another process holds.
      await other.jobLocks.exclusive(url, 'seals', (connection) =>
        tryWithLock(connection, 'seals', async () => {
          await assert.rejects(rotate(), /another rotation or a move is under way/);
          refused = true;
        }),
      );
      assert.ok(refused);
      await rotate();
    } finally {
      other.close();
      await fixture.services.refreshSeals();
    }
  });
});
