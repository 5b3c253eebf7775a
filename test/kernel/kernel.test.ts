import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IsolationViolation, Refusal } from '../../src/kernel/errors.ts';
import { Kernel, type KernelParts, type TenantRequest } from '../../src/kernel/kernel.ts';
import type { Db, RequestRecord } from '../../src/kernel/ports.ts';
import { settingsFrom } from '../../src/kernel/settings.ts';
import { parseSlug, type Role, type Tenant, tenantId } from '../../src/kernel/tenant.ts';

describe('Kernel.run()', () => {
  it("runs the stages in order, and opens the tenant's db last", async () => {
    const kernel = openKernel();
    assert.equal((await kernel.run()).status, 200);
    assert.deepEqual(kernel.steps, [
      'authenticate',
      'authorize',
      'limit',
      'parse',
      'execute',
      'handle',
    ]);
  });

  it('runs no stage after a refusal', async () => {
    const refusals: [Parameters<typeof openKernel>[0], string, string[]][] = [
      [{ claims: [] }, 'tenant_required', []],
      [{ claims: ['acme', 'other'] }, 'tenant_ambiguous', []],
      [{ known: false }, 'unauthenticated', ['authenticate', 'note authentication_failed']],
      [
        { known: false, authorization: 'Bearer wrong' },
        'unauthenticated',
        ['authenticate', 'note authentication_failed', 'slow down'],
      ],
      [
        { known: false, authorization: 'Bearer wrong', guessing: true },
        'rate_limited',
        ['authenticate', 'note authentication_failed', 'slow down', 'note credential_guessing'],
      ],
      [
        { claims: ['other'] },
        'not_found',
        ['authenticate', 'authorize', 'note cross_tenant_access_attempt'],
      ],
      [
        { tenant: { status: 'suspended' } },
        'not_found',
        ['authenticate', 'authorize', 'note suspended_tenant_access_attempt'],
      ],
      [
        { spent: true },
        'rate_limited',
        ['authenticate', 'authorize', 'limit', 'note rate_limit_exceeded'],
      ],
      [{ route: 'none' }, 'not_found', ['authenticate', 'authorize', 'limit']],
      [{ route: 'other method' }, 'method_not_allowed', ['authenticate', 'authorize', 'limit']],
      [{ role: 'admin' }, 'forbidden', ['authenticate', 'authorize', 'limit']],
      [{ route: 'bad input' }, 'invalid_input', ['authenticate', 'authorize', 'limit', 'parse']],
      [
        { tenant: { schemaVersion: 3, requiredVersion: 3 } },
        'unavailable',
        ['authenticate', 'authorize', 'limit', 'parse'],
      ],
      [
        { tenant: { schemaVersion: 0 } },
        'unavailable',
        ['authenticate', 'authorize', 'limit', 'parse'],
      ],
    ];
    for (const [situation, code, steps] of refusals) {
      const kernel = openKernel(situation);
      await assert.rejects(
        kernel.run(),
        (error) => error instanceof Refusal && error.code === code,
      );
      assert.deepEqual(kernel.steps, steps, code);
    }
  });

  it('serves a newer schema version, unless that version requires newer servers', async () => {
    const kernel = openKernel({ tenant: { schemaVersion: 99, requiredVersion: 2 } });
    assert.equal((await kernel.run()).status, 200);
    const { facts } = await openKernel({ tenant: { requiredVersion: 3 } }).refusal();
    assert.match(String(facts.cause), /they need a server that knows 3; this one knows 1 to 2/);
  });

  it('refuses a foreign and a suspended tenant with the same message', async () => {
    const [foreign, suspended] = await Promise.all([
      openKernel({ claims: ['other'] }).refusal(),
      openKernel({ tenant: { status: 'suspended' } }).refusal(),
    ]);
    assert.deepEqual([foreign.message, foreign.facts], [suspended.message, suspended.facts]);
  });

  it('bills a request that got a token, and counts one that did not as refused', async () => {
    const billed = openKernel({ route: 'bad input' });
    await billed.refusal();
    const refused = openKernel({ spent: true });
    await refused.refusal();
    assert.deepEqual([billed.counts, refused.counts], [['billed'], ['refused']]);
  });

  it('records an isolation violation, and no other error', async () => {
    const violated = openKernel({ fault: new IsolationViolation(new Error('no tenant context')) });
    await assert.rejects(violated.run(), /^IsolationViolation: no tenant context$/);
    assert.equal(violated.steps.at(-1), 'note isolation_violation');
    const broken = openKernel({ fault: new Error('out of memory') });
    await assert.rejects(broken.run(), /^Error: out of memory$/);
    assert.equal(broken.steps.at(-1), 'execute');
  });

  it('leaves endpoint, tenant, caller and rate limit in the request record', async () => {
    const kernel = openKernel({ route: 'bad input' });
    await kernel.refusal();
    const { endpoint, tenant, caller, rateLimit } = kernel.record;
    assert.deepEqual(
      [endpoint, tenant?.slug, caller?.user.id, rateLimit?.remaining],
      ['/api/pets', 'acme', 'u1', 9],
    );
  });
});

type Situation = {
  claims?: string[];
  known?: boolean;
  authorization?: string;
  guessing?: boolean;
  /** The error of the isolation adapter. */
  fault?: Error;
  tenant?: Partial<Tenant>;
  spent?: boolean;
  route?: 'found' | 'none' | 'other method' | 'bad input';
  role?: Role;
};

/** A kernel whose ports record the calls to them. */
function openKernel(situation: Situation = {}) {
  const { claims = ['acme'], known = true, spent = false, route = 'found' } = situation;
  const steps: string[] = [];
  const counts: string[] = [];
  const slug = parseSlug('acme');
  assert.ok(slug);
  const id = tenantId('01890000-0000-7000-8000-000000000001');
  const plan = { name: 'free', requestsPerHour: 10, burst: 10 };
  const tenant: Tenant = {
    ...{
      id,
      slug,
      plan,
      name: 'Acme',
      status: 'active',
      isolation: 'shared',
      server: 'main',
      generation: 0,
    },
    ...{ schemaVersion: 2, requiredVersion: 0 },
    settings: settingsFrom({}),
    ...situation.tenant,
  };
  const user = { id: 'u1', email: 'a@acme.com', role: 'member' as const };
  const db: Db = Object.assign(async () => [], { transaction: async () => assert.fail() });
  const account = Object.assign(async () => [], { change: async () => assert.fail() });
  const isolation: KernelParts<TenantRequest>['isolation'] = {
    run: async (_tenant, work) => {
      steps.push('execute');
      if (situation.fault) throw situation.fault;
      return work(db);
    },
  };
  const kernel = new Kernel<TenantRequest>({
    resolvers: [() => claims.map((name) => ({ slug: name, by: 'header' }))],
    directory: {
      caller: async () => {
        steps.push('authenticate');
        return known ? { user, keyId: 'k1', tenantId: id } : null;
      },
      tenant: async () => {
        steps.push('authorize');
        return tenant;
      },
    },
    limiter: {
      consume: async () => {
        steps.push('limit');
        return { allowed: !spent, remaining: 9, retryAfterSeconds: 1, resetSeconds: 1 };
      },
    },
    routes: () => {
      if (route === 'none') return { endpoint: 'unmatched', allow: null };
      if (route === 'other method') return { endpoint: '/api/pets', allow: ['GET'] };
      const parse = async () => {
        steps.push('parse');
        if (route === 'bad input') throw new Refusal('invalid_input');
        return async () => {
          steps.push('handle');
          return { status: 200, body: null };
        };
      };
      return { endpoint: '/api/pets', role: situation.role ?? null, parse };
    },
    isolation,
    accounts: { run: (_holder, work) => work(account) },
    denials: { note: ({ event }) => steps.push(`note ${event}`) },
    throttle: {
      onFailure: () => {
        steps.push('slow down');
        return {
          delayed: situation.guessing ?? false,
          mayReply: Promise.resolve(!situation.guessing),
        };
      },
    },
    meter: { count: (_id, what) => counts.push(what) },
    idempotency: { once: () => assert.fail() },
    newId: () => 'id',
    newSecret: () => assert.fail(),
    schemaVersions: { oldest: 1, newest: 2 },
  });
  const record: RequestRecord = {
    requestId: 'r1',
    endpoint: 'unmatched',
    tenant: null,
    caller: null,
    rateLimit: null,
  };
  const facts = { host: 'localhost', path: '/api/pets', tenantHeaders: [] };
  const { authorization = null } = situation;
  const request = {
    ...{ method: 'GET', facts, authorization, idempotencyKey: null, address: '192.0.2.1' },
    body: async () => null,
  };
  const run = () => kernel.run(request, record);
  const refusal = async (): Promise<Refusal> => {
    const error: unknown = await run().then(
      () => assert.fail('it was taken'),
      (reason) => reason,
    );
    assert.ok(error instanceof Refusal);
    return error;
  };
  return { steps, counts, record, run, refusal };
}
