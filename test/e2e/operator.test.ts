/** What only the operator may do and read: plans, the whole trail, metrics and the log. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  assertProblem,
  bearer,
  type Client,
  clientOf,
  onboard,
  operatorOf,
  send,
} from '../support/client.ts';
import { lint, samples } from '../support/exposition.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

const metricsToken = 'metrics-0123456789abcdef0123456789abcdef';

let database: TestDatabase;
let kennel: Kennel;
let operator: Client;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url, { METRICS_TOKEN: metricsToken });
  operator = operatorOf(kennel);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('the admin token', () => {
  it('is required on every path of the operator', async () => {
    const { apiKey } = await onboard(kennel, 'curious-cats');
    for (const line of [
      'GET /api/admin/tenants',
      'POST /api/admin/tenants',
      'DELETE /api/admin/tenants/curious-cats',
      'PUT /api/admin/plans/free',
      'GET /api/admin/audit',
      'GET /api/admin/nothing',
      'GET /metrics',
    ]) {
      for (const token of ['', apiKey, `${adminToken}x`, adminToken.slice(1)]) {
        assertProblem(
          await send(kennel.url, line, undefined, bearer(token)),
          401,
          'unauthenticated',
        );
      }
      assertProblem(await send(kennel.url, line), 401, 'unauthenticated');
    }
  });

  it("is refused as a tenant's key", async () => {
    const answer = await clientOf(kennel, { slug: 'curious-cats', apiKey: adminToken })(
      'GET /api/me',
    );
    assertProblem(answer, 401, 'unauthenticated');
  });
});

describe('the metrics token', () => {
  it('gives access to the metrics and nothing else', async () => {
    const ask = (line: string) => send(kennel.url, line, undefined, bearer(metricsToken));
    assert.equal((await ask('GET /metrics')).status, 200);
    assertProblem(await ask('POST /metrics'), 405, 'method_not_allowed');
    for (const line of [
      'GET /api/admin/tenants',
      'GET /api/admin/audit',
      'PUT /api/admin/plans/free',
      'GET /api/admin/metrics',
      'GET /metrics/',
    ]) {
      assert.ok([401, 404].includes((await ask(line)).status ?? 0), line);
    }
    assertProblem(await ask('GET /api/admin/tenants'), 401, 'unauthenticated');
    const named = { ...bearer(metricsToken), 'x-tenant-id': 'curious-cats' };
    assertProblem(await send(kennel.url, 'GET /api/me', undefined, named), 401, 'unauthenticated');
  });
});

describe('plans', () => {
  it('start with the four defaults', async () => {
    for (const [name, hourly] of Object.entries({
      free: 100,
      basic: 1_000,
      premium: 10_000,
      enterprise: 100_000,
    })) {
      const { body } = await operator(`GET /api/admin/plans/${name}`);
      assert.deepEqual(body, { name, requests_per_hour: hourly, burst: hourly });
    }
    assertProblem(await operator('GET /api/admin/plans/gold'), 404, 'not_found');
  });

  it('are created and edited with immediate effect for their tenants', async () => {
    const made = await operator('PUT /api/admin/plans/puppy', { requests_per_hour: 60, burst: 5 });
    assert.deepEqual([made.status, made.body.burst], [201, 5]);
    const { call } = await onboard(kennel, 'puppy-pets', { plan: 'puppy' });
    assert.equal((await call('GET /api/me')).headers['x-ratelimit-limit'], '60');
    const edited = await operator('PUT /api/admin/plans/puppy', { requests_per_hour: 120 });
    assert.deepEqual([edited.status, edited.body.burst], [200, 120]);
    assert.equal((await call('GET /api/me')).headers['x-ratelimit-limit'], '120');
    await operator('PATCH /api/admin/tenants/puppy-pets', { plan: 'basic' });
    assert.equal((await call('GET /api/me')).body.tenant.plan, 'basic');
  });

  it('refuse invalid figures and names', async () => {
    for (const body of [{}, { requests_per_hour: 0 }, { requests_per_hour: '5' }, { burst: 1.5 }]) {
      assertProblem(await operator('PUT /api/admin/plans/puppy', body), 422, 'invalid_input');
    }
    const name = await operator('PUT /api/admin/plans/No+Name', { requests_per_hour: 5 });
    assertProblem(name, 404, 'not_found');
  });
});

describe('the audit trail', () => {
  it('lists every kind of event, newest first, filtered by tenant and by event', async () => {
    await makeEveryEvent('eventful-pets');
    const { body } = await operator('GET /api/admin/audit?limit=100&tenant=eventful-pets');
    const items: { event: string; time: string; actor: string; id: string }[] = body.items;
    const events = new Set(items.map(({ event }) => event));
    assert.deepEqual([...events].sort(), [
      'authentication_failed',
      'config_changed',
      'cross_tenant_access_attempt',
      'key_created',
      'key_revoked',
      'plan_changed',
      'rate_limit_exceeded',
      'tenant_created',
      'tenant_deleted',
      'tenant_resumed',
      'tenant_suspended',
      'user_created',
    ]);
    const times = items.map(({ time }) => time);
    assert.deepEqual(times, [...times].sort().reverse());
    const filtered = await operator('GET /api/admin/audit?tenant=eventful-pets&event=key_created');
    assert.equal(filtered.body.items.length, 1);
    assert.equal((await operator('GET /api/admin/audit?tenant=nobody')).body.items.length, 0);
  });

  it('names actor, tenant and request of each event', async () => {
    const { body } = await operator('GET /api/admin/audit?limit=100');
    for (const { event, ...item } of body.items) {
      for (const field of ['id', 'time', 'actor', 'request_id']) assert.ok(item[field], event);
      assert.ok('tenant' in item, event);
    }
  });

  it('grants no other role more than SELECT and INSERT', async () => {
    const granted = await lookInto(
      database.url,
      (sql) => sql`
        select grantee, privilege_type from information_schema.role_table_grants
        where table_name = 'audit_events' and not grantee like '%owner'
          and privilege_type not in ('SELECT', 'INSERT')`,
    );
    assert.deepEqual([...granted], []);
  });
});

describe('metrics and log', () => {
  it('count requests by tenant, endpoint, method and status', async () => {
    const { call } = await onboard(kennel, 'counted-pets');
    await call('GET /api/pets/01890000-0000-7000-8000-000000000000');
    await call('GET /api/pets/01890000-0000-7000-8000-000000000001');
    const { status, text } = await operator('GET /metrics');
    assert.equal(status, 200);
    assert.deepEqual(lint(text), []);
    const counted = samples(text).filter(({ labels }) => labels.includes('counted-pets'));
    const labels = 'tenant="counted-pets",endpoint="/api/pets/{id}"';
    assert.ok(
      counted.some(
        (sample) =>
          sample.name === 'api_requests_total' &&
          sample.labels === `${labels},method="GET",status="404"` &&
          sample.value === 2,
      ),
    );
    assert.ok(
      counted.some(
        (sample) =>
          sample.name === 'api_request_duration_seconds_count' && sample.labels === labels,
      ),
    );
    await operator('DELETE /api/admin/tenants/counted-pets');
    assert.ok(!(await operator('GET /metrics')).text.includes('counted-pets'));
  });

  it('show version, tenants by mode and status, and connections with their limit', async () => {
    const suspended = await onboard(kennel, 'shown-pets', { isolation: 'schema' });
    await operator(`PATCH /api/admin/tenants/${suspended.slug}`, { status: 'suspended' });
    // Tenants are counted at the start and then once a minute: a busy machine may miss the first time.
    const fresh = await startKennel(database.url, { DB_CONNECTIONS: '7' });
    const read = async () => samples((await operatorOf(fresh)('GET /metrics')).text);
    const figure = async (name: string, labels: string) =>
      (await read()).find((sample) => sample.name === name && sample.labels === labels)?.value;
    await until(
      async () => (await figure('kennel_tenants', 'isolation="schema",status="suspended"')) === 1,
      90_000,
    );
    const build = (await read()).find(({ name }) => name === 'kennel_build_info');
    assert.match(`${build?.labels} ${build?.value}`, /^version="\d.+",node="v\d.+" 1$/);
    assert.equal(await figure('kennel_connections_limit', 'pool="serving"'), 7);
    for (const name of ['in_use', 'waits_total', 'wait_seconds_total']) {
      assert.ok(Number(await figure(`kennel_connections_${name}`, 'pool="serving"')) >= 0, name);
    }
    assert.ok(Number(await figure('kennel_http_connections', '')) >= 1);
    assert.ok(Number(await figure('kennel_http_unread_reply_bytes', '')) >= 0);
    await fresh.stop();
  });

  it('contain no key, no token and no password', async () => {
    const { apiKey } = await onboard(kennel, 'secret-pets', { isolation: 'database' });
    const call = clientOf(kennel, { slug: 'secret-pets', apiKey });
    await call('GET /api/me');
    await send(kennel.url, `GET /secret-pets/api/pets?key=${apiKey}`, undefined, bearer(apiKey));
    await call('GET /api/me', undefined, { 'x-request-id': apiKey.slice(0, 60) });
    await until(() => kennel.stdout().includes('"tenant":"secret-pets"'));
    const { stderr, stdout } = await kennel.stop();
    const said = stdout + stderr;
    assert.doesNotMatch(said, /kn_[0-9a-f]{32}_[0-9a-f]/);
    assert.ok(!said.includes(adminToken));
    assert.ok(!said.includes(metricsToken));
    // A server of the user's own may trust local connections and have no password at all.
    const password = decodeURIComponent(new URL(database.url).password);
    assert.ok(password === '' || !said.includes(password));
    for (const line of stdout.trim().split('\n')) assert.ok(JSON.parse(line).time);
  });
});

/** Every event of a tenant, from its creation to its erasure. */
async function makeEveryEvent(slug: string): Promise<void> {
  await operator('PUT /api/admin/plans/tiny', { requests_per_hour: 1, burst: 7 });
  const { apiKey, call } = await onboard(kennel, slug, { plan: 'tiny' });
  await call('PUT /api/config/welcome_message', { value: 'Woof' });
  const { body: user } = await call('POST /api/users', { email: 'a@b.example', role: 'member' });
  const { body: key } = await call(`POST /api/users/${user.id}/keys`);
  await call(`DELETE /api/keys/${key.id}`);
  await call('GET /api/me', undefined, bearer('wrong'));
  const { apiKey: foreign } = await onboard(kennel, 'nosy-neighbour');
  await clientOf(kennel, { slug, apiKey: foreign })('GET /api/pets');
  for (let spent = 4; spent < 7; spent += 1) await call('GET /api/me');
  assertProblem(await clientOf(kennel, { slug, apiKey })('GET /api/me'), 429, 'rate_limited');
  await operator('GET /api/admin/audit');
  const path = `/api/admin/tenants/${slug}`;
  for (const patch of [{ status: 'suspended' }, { status: 'active' }, { plan: 'basic' }]) {
    assert.equal((await operator(`PATCH ${path}`, patch)).status, 200);
  }
  assert.equal((await operator(`DELETE ${path}`)).status, 204);
}
