/** A process that hangs while it moves a tenant is alive, and its sessions are. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../../bench/node_script.ts';
import { readConfig } from '../../../src/config.ts';
import { TenantSession } from '../../../src/control_plane/moves/tenant_session.ts';
import { limits } from '../../../src/limits.ts';
import { openConnectionPool } from '../../../src/postgres/open_connection_pool.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { slugOf } from '../../support/more_tables.ts';
import { followingIsolation, leftOver, tenantOf } from '../../support/moving_fixture.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

const slug = slugOf('hung');
const patienceMs = 60_000;

/** What the process says when it goes on: its session was ended, or its move belongs to another process. */
const outcome = /has taken the move over|was lost|database is not available/;

const never = new Promise<never>(() => {});

describe('a move whose process hangs', () => {
  let database: TestDatabase;
  let services: Services;
  before(async () => {
    database = await testDatabase();
    services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
    const order = { slug, name: 'Hung', plan: 'free', isolation: 'shared' } as const;
    await services.onboarding.create(
      { ...order, adminEmail: 'admin@example.com' },
      { requestId: null, idempotencyKey: null, rawBody: '' },
    );
  });
  after(async () => {
    services.close();
    await database.drop();
  });

  for (const [at, when] of [
    ['copying', 'while it copied'],
    ['stopped', 'while the writes of the tenant were stopped'],
  ] as const) {
    it(`is undone by another process, and fails when its process goes on, ${when}`, async () => {
      const { PATH = '' } = process.env;
      const script = [...nodeScript('test/support/hanging_process.ts'), slug, 'schema', at];
      const mover = spawn(process.execPath, script, {
        env: { PATH, DATABASE_URL: database.url },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(mover, 'exit');
      try {
        await once(mover.stdout, 'readable');
        assert.equal(String(mover.stdout.read()), 'hangs\n');
        const tenant = await tenantOf(services, slug);
        // A request that waits behind the fence makes its process recover the move.
        const follower = followingIsolation(services, patienceMs);
        assert.equal(typeof (await follower.run(tenant, addPet)), 'string');
        await until(async () => {
          await services.moves.recover();
          return (await services.moves.find(slug))?.state === 'failed';
        }, patienceMs);
        mover.kill('SIGCONT');
        assert.match(await text(mover.stdout), outcome);
        await ended;
        assert.equal((await services.moves.find(slug))?.state, 'failed');
        assert.deepEqual(await leftOver(services.fleet, await tenantOf(services, slug)), []);
      } finally {
        mover.kill('SIGKILL');
      }
    });
  }

  it('is not waited for while one of its transactions is open and idle', async () => {
    const { admin, installation, modes } = services.fleet;
    const tenant = await tenantOf(services, slug);
    const placement = modes.placementOf(tenant);
    const movers = openConnectionPool(limits.moverConnection, limits.movers);
    const parts = { placement, tenant: tenant.id, guard: 'select' };
    const session = new TenantSession({ admin, movers, installation }, parts);
    let isOpen = false;
    const open = session.write(async (sql) => {
      await sql`select`;
      isOpen = true;
      await never;
    });
    await Promise.all([
      assert.rejects(open, { code: 'unavailable' }),
      until(() => Promise.resolve(isOpen)).then(() => session.settle(async () => {})),
    ]);
    movers.close();
  });
});
