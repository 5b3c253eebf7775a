import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { postgresIdempotency } from '../../../src/adapters/idempotency/postgres_idempotency.ts';
import { clearIdempotencyKeys } from '../../../src/control_plane/provisioning/idempotency_keys.ts';
import { Refusal, unavailable } from '../../../src/kernel/errors.ts';
import type { Attempt, Reply } from '../../../src/kernel/ports.ts';
import { type Registered, register } from '../../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

const created = { status: 201, headers: { location: '/x' }, body: '{"api_key":"kn_secret"}' };
const request = { key: 'order-4711', sent: '["POST","/api/pets",{"name":"Rex"}]' };

let fixture: TenantFixture;
let tenant: Registered;
let count = 0;

before(async () => {
  fixture = await openTenantFixture(2);
});

after(() => fixture.close());

/** A new tenant for each test; `drawn` holds the ids that the attempts were given. */
async function setUp({ keptMs = 60_000, claimMs = 60_000 } = {}) {
  const { control, connections, fleet } = fixture.services;
  count += 1;
  tenant = await register(control, `keyed-${count}`);
  const options = { keptMs, claimMs, newId: randomUUID };
  const idempotency = postgresIdempotency(connections, fleet.installation, options);
  const drawn: { id: string; secret: string; retried: boolean }[] = [];
  const once = (work: () => Promise<Reply> = async () => created, changed = {}) =>
    idempotency.once({ tenant, userId: 'u1' }, { ...request, ...changed }, (attempt: Attempt) => {
      const { newId, newSecret, retried } = attempt;
      drawn.push({ id: newId(), secret: Buffer.from(newSecret()).toString('hex'), retried });
      return work();
    });
  return { once, drawn };
}

function inTable(columns: string): Promise<object[]> {
  const text = `select ${columns} from idempotency_keys where tenant_id = '${tenant.id}'`;
  return fixture.asSuperuser(fixture.services.fleet.installation.account, text);
}

const gone = async () => {
  throw unavailable('The connection was lost');
};

describe('once()', () => {
  it('runs the work once and replays its reply', async () => {
    const { once, drawn } = await setUp();
    assert.deepEqual([await once(), await once()], [created, created]);
    assert.deepEqual([drawn.length, drawn[0]?.retried], [1, false]);
  });

  it('gives a retry the ids and secrets of a lost attempt', async () => {
    const { once, drawn } = await setUp();
    await assert.rejects(once(gone), { code: 'unavailable' });
    assert.deepEqual(await once(), created);
    const [lost, next] = drawn;
    assert.deepEqual(next, { ...lost, retried: true });
  });

  it('gives new ids after a refusal, also to another request', async () => {
    const { once, drawn } = await setUp();
    const refuse = async () => {
      throw new Refusal('conflict');
    };
    await assert.rejects(once(refuse), { code: 'conflict' });
    assert.deepEqual(await once(undefined, { sent: 'other' }), created);
    assert.notEqual(drawn[0]?.id, drawn[1]?.id);
    assert.equal(drawn[1]?.retried, false);
  });

  it('keeps the ids of a lost attempt when a later one is refused', async () => {
    const { once, drawn } = await setUp();
    await assert.rejects(once(gone));
    const refuse = async () => {
      throw new Refusal('conflict');
    };
    await assert.rejects(once(refuse), { code: 'conflict' });
    assert.deepEqual(await once(), created);
    assert.equal(new Set(drawn.map(({ id }) => id)).size, 1);
  });

  it('refuses a second attempt while the first is in progress', async () => {
    const { once, drawn } = await setUp();
    const first = once(async () => {
      await assert.rejects(once(), { code: 'conflict' });
      return created;
    });
    assert.deepEqual(await first, created);
    assert.equal(drawn.length, 1);
  });

  it('control: after its claim has expired, a second attempt runs with the same ids', async () => {
    const { once, drawn } = await setUp({ claimMs: 0 });
    const first = once(async () => {
      assert.deepEqual(await once(), created);
      return { ...created, body: 'late' };
    });
    await first;
    assert.equal(new Set(drawn.map(({ id }) => id)).size, 1);
    assert.deepEqual([drawn.length, await once()], [2, created]);
  });

  it('refuses the same key for another request', async () => {
    const { once } = await setUp();
    await once();
    await assert.rejects(once(undefined, { sent: 'other' }), { code: 'invalid_input' });
  });

  it('forgets a key after its retention', async () => {
    const { once, drawn } = await setUp({ keptMs: 0 });
    await once();
    await once(undefined, { sent: 'other' });
    assert.notEqual(drawn[0]?.id, drawn[1]?.id);
  });

  it('stores key, reply and secrets unreadably', async () => {
    const { once, drawn } = await setUp();
    await once();
    const rows = await inTable("idempotency_keys::text || encode(answer, 'escape') as row");
    const text = JSON.stringify(rows);
    assert.equal(rows.length, 1);
    const secret = String(drawn[0]?.secret);
    for (const plain of [request.key, 'kn_secret', 'api_key', 'Rex', secret]) {
      assert.ok(!text.includes(plain), plain);
      assert.ok(!text.includes(Buffer.from(plain).toString('hex')), plain);
    }
  });

  it('keeps the same key of two tenants apart', async () => {
    const one = await setUp();
    await one.once();
    const other = await setUp();
    await other.once();
    assert.equal(other.drawn.length, 1);
    assert.notEqual(one.drawn[0]?.secret, other.drawn[0]?.secret);
  });
});

describe('clearIdempotencyKeys()', () => {
  const clear = (limits: { keptMs?: number; perTenant?: number }) =>
    clearIdempotencyKeys(fixture.services.control, {
      ...{ keptMs: 60_000, perTenant: 100, batchSize: 100 },
      ...limits,
    });

  it('removes keys older than the retention', async () => {
    const { once } = await setUp();
    await once();
    await clear({});
    assert.equal((await inTable('made_id')).length, 1);
    await clear({ keptMs: 0 });
    assert.deepEqual([...(await inTable('made_id'))], []);
  });

  it('keeps the newest keys of a tenant up to the limit', async () => {
    const { once, drawn } = await setUp();
    for (const key of ['a', 'b', 'c', 'd']) await once(undefined, { key });
    await clear({ perTenant: 2 });
    const left = await inTable('made_id');
    const ids = left.map((row) => Object.values(row)[0]).sort();
    assert.deepEqual(
      ids,
      drawn
        .slice(2)
        .map(({ id }) => id)
        .sort(),
    );
  });
});
