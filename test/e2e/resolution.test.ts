/**
 * Tenant resolution: what a request names, whose key it has, and that no answer reveals which
 * tenants exist.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  type Answer,
  assertProblem,
  bearer,
  clientOf,
  type Headers,
  type Onboarded,
  onboard,
  operatorOf,
  send,
  ways,
} from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let kennel: Kennel;
let acme: Onboarded;
let fluffy: Onboarded;
let asleep: Onboarded;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url);
  acme = await onboard(kennel, 'acme-pets');
  fluffy = await onboard(kennel, 'fluffy-friends');
  asleep = await onboard(kennel, 'sleeping-dogs');
  const suspension = await operatorOf(kennel)('PATCH /api/admin/tenants/sleeping-dogs', {
    status: 'suspended',
  });
  assert.equal(suspension.status, 200);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

function get(path: string, headers: Headers, server = kennel): Promise<Answer> {
  return send(server.url, `GET ${path}`, undefined, { ...bearer(acme.apiKey), ...headers });
}

describe('resolution', () => {
  it('accepts names that agree', async () => {
    const host = 'Acme-Pets.LOCALHOST:80';
    const { status } = await get('/acme-pets/api/me', { host, 'x-tenant-id': 'acme-pets' });
    assert.equal(status, 200);
  });

  it('refuses names that disagree, with any credential', async () => {
    const host = 'acme-pets.localhost';
    const disagreeing: [path: string, headers: Headers][] = [
      ['/fluffy-friends/api/me', { host }],
      ['/api/me', { host, 'x-tenant-id': 'fluffy-friends' }],
      ['/acme-pets/api/me', { 'x-tenant-id': 'fluffy-friends' }],
      ['/acme-pets/api/me', { 'x-tenant-id': 'Acme-Pets' }],
      ['/api/me', { 'x-tenant-id': ['acme-pets', 'fluffy-friends'] }],
      ['/api/me', { 'x-tenant-id': 'fluffy-friends', host, authorization: 'Bearer x' }],
    ];
    for (const [path, headers] of disagreeing) {
      assertProblem(await get(path, headers), 400, 'tenant_ambiguous');
    }
  });

  it('answers 400 when no tenant is named', async () => {
    for (const host of ['localhost', '127.0.0.1', 'www.localhost', 'acme-pets.example']) {
      assertProblem(await get('/api/me', { host }), 400, 'tenant_required');
    }
    assertProblem(await get('/api/me', { 'x-tenant-id': '' }), 400, 'tenant_required');
  });

  it('answers 401 to a bad credential for any named tenant', async () => {
    const [, secretless = ''] = /^(.*_)/.exec(acme.apiKey) ?? [];
    const wrong = ['', 'Bearer', 'Bearer x', `Basic ${acme.apiKey}`, acme.apiKey];
    const keys = [`${secretless}${'0'.repeat(64)}`, `${acme.apiKey}0`, acme.apiKey.toUpperCase()];
    for (const slug of ['acme-pets', 'fluffy-friends', 'sleeping-dogs', 'nobody', 'no slug']) {
      for (const authorization of [...wrong, ...keys.map((key) => `Bearer ${key}`)]) {
        const answer = await get('/api/me', { 'x-tenant-id': slug, authorization });
        assertProblem(answer, 401, 'unauthenticated');
        assert.match(String(answer.headers['www-authenticate']), /^Bearer realm="kennel"/);
      }
    }
  });
});

describe('another tenant', () => {
  const requests = ['GET /api/me', 'HEAD /api/me', 'POST /api/pets', 'PUT /api/me', 'GET /api/no'];

  for (const way of ways) {
    it(`gets the same 404 as an unknown one by ${way}`, async () => {
      for (const line of requests) {
        const seen = new Set<string>();
        for (const [slug, { apiKey }] of [
          ['fluffy-friends', acme],
          ['nobody-at-all', acme],
          ['sleeping-dogs', acme],
          ['sleeping-dogs', asleep],
          ['acme-pets', asleep],
        ] as const) {
          const answer = await clientOf(kennel, { slug, apiKey, way })(line);
          assert.equal(answer.status, 404);
          seen.add(comparable(answer));
        }
        assert.equal(seen.size, 1, `${line}: ${[...seen].join('\n\n')}`);
      }
    });
  }

  it('is recorded as an attempt for the operator alone', async () => {
    const { user } = (await acme.call('GET /api/me')).body;
    const foreign = clientOf(kennel, { slug: 'fluffy-friends', apiKey: acme.apiKey });
    const headers = { 'x-request-id': 'attempt-of-acme' };
    await foreign('GET /api/pets/01890000-0000-7000-8000-000000000000', undefined, headers);
    const { body } = await operatorOf(kennel)(
      'GET /api/admin/audit?event=cross_tenant_access_attempt&tenant=fluffy-friends',
    );
    const { id: _id, time: _time, ...event } = body.items[0];
    assert.deepEqual(event, {
      event: 'cross_tenant_access_attempt',
      actor: `user:${user.id}`,
      tenant: 'acme-pets',
      request_id: 'attempt-of-acme',
      user: user.id,
      user_tenant: 'acme-pets',
      requested_tenant: 'fluffy-friends',
      endpoint: '/api/pets/{id}',
      count: 1,
    });
    for (const { call } of [acme, fluffy]) {
      const { text } = await call('GET /api/audit?limit=100');
      assert.match(text, /tenant_created/);
      assert.doesNotMatch(text, /cross_tenant|authentication_failed/);
    }
  });
});

describe('RESOLUTION=header', () => {
  let strict: Kennel;
  before(async () => {
    strict = await startKennel(database.url, { RESOLUTION: 'header' });
  });
  after(() => strict.stop());

  it('ignores host and path', async () => {
    const host = 'acme-pets.localhost';
    assertProblem(await get('/api/me', { host }, strict), 400, 'tenant_required');
    assertProblem(await get('/acme-pets/api/me', {}, strict), 400, 'tenant_required');
    const named = { 'x-tenant-id': 'acme-pets' };
    const elsewhere = { host: 'fluffy-friends.localhost', ...named };
    assert.equal((await get('/api/me', elsewhere, strict)).status, 200);
    assertProblem(await get('/acme-pets/api/me', named, strict), 404, 'not_found');
    const options = await send(strict.url, 'OPTIONS /acme-pets/api/me');
    assertProblem(options, 404, 'not_found');
    assert.equal((await send(strict.url, 'OPTIONS /api/me')).status, 204);
  });
});

describe('X-Forwarded-Host', () => {
  let behindProxy: Kennel;
  before(async () => {
    behindProxy = await startKennel(database.url, {
      TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.0/8',
      BASE_DOMAIN: 'petstore.example',
    });
  });
  after(() => behindProxy.stop());

  it('names the tenant when a trusted proxy sends it', async () => {
    const forwarded = (name: string) => ({ 'x-forwarded-host': name, host: 'inside' });
    const own = await get('/api/me', forwarded('acme-pets.petstore.example'), behindProxy);
    assert.equal(own.status, 200);
    const foreign = await get('/api/me', forwarded('fluffy-friends.petstore.example'), behindProxy);
    assertProblem(foreign, 404, 'not_found');
    const hidden = { 'x-forwarded-host': 'petstore.example', host: 'acme-pets.petstore.example' };
    assertProblem(await get('/api/me', hidden, behindProxy), 400, 'tenant_required');
  });

  it('is ambiguous when the Host that a trusted proxy sends names another tenant', async () => {
    const host = 'fluffy-friends.petstore.example';
    const headers = { host, 'x-forwarded-host': 'acme-pets.petstore.example' };
    assertProblem(await get('/api/me', headers, behindProxy), 400, 'tenant_ambiguous');
    const same = { ...headers, host: 'acme-pets.petstore.example' };
    assert.equal((await get('/api/me', same, behindProxy)).status, 200);
  });

  it('is ignored unless a trusted proxy sends it', async () => {
    const headers = { host: 'localhost', 'x-forwarded-host': 'acme-pets.localhost' };
    assertProblem(await get('/api/me', headers), 400, 'tenant_required');
  });
});

/** All bytes of an answer except those that differ from request to request. */
function comparable({ status, headers, rawHeaders, text }: Answer): string {
  const passing = new Set(['date', 'x-request-id']);
  const lasting = rawHeaders.flatMap((name, at) =>
    at % 2 === 0 && !passing.has(name.toLowerCase()) ? [`${name}: ${rawHeaders[at + 1]}`] : [],
  );
  const body = text.replace(String(headers['x-request-id']), '<request id>');
  return [status, ...lasting, body].join('\n');
}
