/** Routes for clients, browsers and load balancers beside the tenant API itself. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { send as sendBytes } from '../http/raw_client.ts';
import { assertProblem, type Client, onboard, operatorOf, send } from '../support/client.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

const page = 'https://app.example';
const bogus = { 'if-match': '"bogus"' };

let database: TestDatabase;
let kennel: Kennel;
let operator: Client;

before(async () => {
  database = await testDatabase();
  // No mail server listens on this port: an email stays in the outbox.
  const variables = { SMTP_URL: 'smtp://127.0.0.1:1', DEMO: '1', CORS_ORIGINS: page };
  kennel = await startKennel(database.url, variables);
  operator = operatorOf(kennel);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('emails', () => {
  const recipients = async () => {
    const rows = await lookInto(database.url, (sql) => sql`select recipient from control.outbox`);
    return rows.map(({ recipient }) => recipient);
  };

  it('are not sent to an invented address', async () => {
    const order = { slug: 'no-address', name: 'No Address' };
    const answer = await operator('POST /api/admin/tenants', order);
    assertProblem(answer, 422, 'invalid_input');
    assert.deepEqual(
      answer.body.errors.map(({ path }: { path: string }) => path),
      ['admin_email'],
    );
    const variables = { DATABASE_URL: database.url, ADMIN_TOKEN: adminToken };
    const made = await runCommand('tenants', ['create', 'no-address'], {
      ...variables,
      SMTP_URL: 'smtp://127.0.0.1:1',
    });
    assert.equal(made.code, 2, made.err);
    assert.match(made.err, /--email/);
    // Nobody entered the addresses of the demo tenants.
    assert.deepEqual(await recipients(), []);
  });

  it('control: are sent to the address that was given', async () => {
    await onboard(kennel, 'with-address', { admin_email: 'boss@address.example' });
    assert.deepEqual(await recipients(), ['boss@address.example']);
  });
});

describe('the control plane', () => {
  it('changes a tenant only if If-Match fits', async () => {
    const { slug } = await onboard(kennel, 'tagged-pets', { admin_email: 'a@tagged.example' });
    const line = `/api/admin/tenants/${slug}`;
    const { headers, body } = await operator(`GET ${line}`);
    const match = { 'if-match': String(headers.etag) };
    const known = { 'if-none-match': String(headers.etag) };
    assert.equal((await operator(`GET ${line}`, undefined, known)).status, 304);
    for (const [method, change] of [
      ['PATCH', { name: 'Lost' }],
      ['DELETE', undefined],
    ] as const) {
      const answer = await operator(`${method} ${line}`, change, bogus);
      assertProblem(answer, 412, 'precondition_failed');
    }
    assert.deepEqual((await operator(`GET ${line}`)).body, body);
    const names = ['a', 'b', 'c'];
    const answers = await Promise.all(
      names.map((name) => operator(`PATCH ${line}`, { name }, match)),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412]);
    const newest = String((await operator(`GET ${line}`)).headers.etag);
    assert.equal((await operator(`DELETE ${line}`, undefined, { 'if-match': newest })).status, 204);
    assertProblem(await operator(`DELETE ${line}`, undefined, bogus), 404, 'not_found');
  });

  it('creates and changes a plan only if If-Match or If-None-Match fits', async () => {
    const line = '/api/admin/plans/tagged';
    const put = (figure: number, headers: Record<string, string>) =>
      operator(`PUT ${line}`, { requests_per_hour: figure }, headers);
    assertProblem(await put(1, { 'if-match': '*' }), 412, 'precondition_failed');
    const makers = await Promise.all([1, 2, 3].map((one) => put(one, { 'if-none-match': '*' })));
    assert.deepEqual(makers.map(({ status }) => status).sort(), [201, 412, 412]);
    const etag = String((await operator(`GET ${line}`)).headers.etag);
    assertProblem(await put(9, bogus), 412, 'precondition_failed');
    const changes = await Promise.all([4, 5, 6].map((one) => put(one, { 'if-match': etag })));
    assert.deepEqual(changes.map(({ status }) => status).sort(), [200, 412, 412]);
  });

  it('refuses a blank Idempotency-Key and unknown query parameters', async () => {
    const order = { slug: 'blank-key', name: 'Blank', admin_email: 'a@blank.example' };
    const blank = { 'idempotency-key': ' ' };
    assertProblem(await operator('POST /api/admin/tenants', order, blank), 422, 'invalid_input');
    for (const line of [
      'GET /api/admin/tenants?plan=free',
      'GET /api/admin/plans?x',
      'GET /api/admin/audit?tenant=%ff',
    ]) {
      assertProblem(await operator(line), 422, 'invalid_input');
    }
  });

  it('sends no CORS headers', async () => {
    const asking = { origin: page, 'access-control-request-method': 'GET' };
    for (const path of ['/api/admin/tenants', '/metrics', '/livez']) {
      for (const [method, status] of [
        ['OPTIONS', 204],
        ['GET', path === '/livez' ? 200 : 401],
      ] as const) {
        const { headers, ...answer } = await send(
          kennel.url,
          `${method} ${path}`,
          undefined,
          asking,
        );
        assert.equal(answer.status, status, `${method} ${path}`);
        assert.equal(headers['access-control-allow-origin'], undefined);
        if (method === 'OPTIONS') assert.match(String(headers.allow), /GET, .*OPTIONS/);
      }
    }
  });
});

describe('a client without a credential', () => {
  for (const [authorization, challenge] of [
    [undefined, 'Bearer realm="kennel"'],
    ['Basic YTpi', 'Bearer realm="kennel"'],
    ['Bearer wrong', 'Bearer realm="kennel", error="invalid_token"'],
    ['bearer', 'Bearer realm="kennel", error="invalid_token"'],
  ] as const) {
    it(`gets the challenge of RFC 6750 for "${authorization}" from the tenant and the operator API`, async () => {
      const headers = { 'x-tenant-id': 'acme-pets', ...(authorization && { authorization }) };
      for (const path of ['/api/me', '/api/admin/tenants', '/metrics']) {
        const answer = await send(kennel.url, `GET ${path}`, undefined, headers);
        assertProblem(answer, 401, 'unauthenticated');
        assert.equal(answer.headers['www-authenticate'], challenge);
      }
    });
  }
});

describe('a load balancer', () => {
  for (const path of ['/livez', '/readyz', '/livez?from=lb']) {
    it(`gets 200 for ${path} by HTTP/1.0 without Host`, async () => {
      const { status } = await sendBytes(kennel.url, `GET ${path} HTTP/1.0\r\n\r\n`);
      assert.equal(status, 200);
    });
  }
  it('does not fill the log', async () => {
    for (const path of ['/livez', '/readyz', '/api/me']) {
      const id = `asked${path.replaceAll('/', '.')}`;
      await send(kennel.url, `GET ${path}`, undefined, { 'x-request-id': id });
    }
    // The last one is there.
    await until(() => kennel.stdout().includes('asked.api.me'), 5_000);
    assert.doesNotMatch(kennel.stdout(), /asked\.(livez|readyz)/);
  });
  it('can name the tenant by path without Host', async () => {
    const { status } = await sendBytes(kennel.url, 'GET /acme-pets/api/me HTTP/1.0\r\n\r\n');
    assert.equal(status, 401);
    const nameless = await sendBytes(kennel.url, 'GET /api/me HTTP/1.0\r\n\r\n');
    assert.equal(nameless.status, 400);
  });
});

describe('a POST whose reply was lost', () => {
  for (const isolation of isolationModes) {
    it(`is answered by its repetition with the first attempt's result: ${isolation}`, async () => {
      const { call, id } = await onboard(kennel, `lost-${isolation}`, {
        isolation,
        admin_email: 'a@lost.example',
      });
      const pet = (await call('POST /api/pets', { name: 'Rex', species: 'dog' })).body;
      const { user } = (await call('GET /api/me')).body;
      for (const [line, body] of [
        ['POST /api/pets', { name: 'Lost', species: 'dog' }],
        [`POST /api/pets/${pet.id}/visits`, { visited_on: '2024-02-29', reason: 'Cough' }],
        ['POST /api/users', { email: 'lost@lost.example', role: 'member' }],
        [`POST /api/users/${user.id}/keys`, undefined],
      ] as const) {
        const headers = { 'idempotency-key': randomUUID() };
        const first = await call(line, body, headers);
        // The state that a kill between the work and its record leaves.
        await lookInto(
          database.url,
          (sql) => sql`
            update control.idempotency_keys set answer = null, claimed_until = now()
            where tenant_id = ${id}`,
        );
        const again = await call(line, body, headers);
        assert.deepEqual([again.status, again.body], [201, first.body], line);
        assert.equal(again.headers.location, first.headers.location);
      }
      assert.equal((await call('GET /api/pets')).body.items.length, 3);
      assert.equal((await call(`GET /api/pets/${pet.id}/visits`)).body.items.length, 1);
      assert.equal((await call('GET /api/users')).body.items.length, 2);
      const { items } = (await call('GET /api/audit')).body;
      const made = items.filter(({ event }: { event: string }) => event !== 'tenant_created');
      assert.equal(made.length, 2);
    });
  }
});
