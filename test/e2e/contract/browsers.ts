/** Pages of other origins: allowed origins may call, and a preflight needs no credential. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem, naming, operatorOf, send } from '../../support/client.ts';
import type { JourneyContext } from './journey_context.ts';

export const page = 'https://app.example';

const asking = (origin: string, method: string) => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,idempotency-key',
});

export function browsers(context: () => JourneyContext): void {
  /** As a browser sends a preflight: the URL names the tenant, and there is no credential. */
  const options = (path: string, headers: Record<string, string>) => {
    const { kennel, tenant, way } = context();
    const { prefix, named } = naming(kennel.url, tenant.slug)[way];
    const sent = way === 'header' ? headers : { ...named, ...headers };
    return send(kennel.url, `OPTIONS ${prefix}${path}`, undefined, sent);
  };

  it('answers OPTIONS with the methods of a path without a credential', async () => {
    const plain = await options('/api/pets', {});
    assert.deepEqual([plain.status, plain.text], [204, '']);
    const allow = String(plain.headers.allow).split(', ').sort();
    assert.deepEqual(allow, ['GET', 'HEAD', 'OPTIONS', 'POST']);
    assertProblem(await options('/api/nothing', {}), 404, 'not_found');
  });

  it('allows a listed origin all methods and headers of the API', async () => {
    for (const path of ['/api/pets', '/api/nothing']) {
      const { status, headers } = await options(path, asking(page, 'POST'));
      assert.equal(status, 204);
      assert.equal(headers['access-control-allow-origin'], page);
      assert.match(String(headers.vary), /Origin/);
      assert.match(String(headers['access-control-allow-methods']), /PATCH/);
      const allowed = String(headers['access-control-allow-headers']).toLowerCase().split(', ');
      for (const name of ['authorization', 'content-type', 'if-match', 'if-none-match']) {
        assert.ok(allowed.includes(name), name);
      }
      for (const name of ['idempotency-key', 'x-tenant-id'])
        assert.ok(allowed.includes(name), name);
      assert.equal(headers['access-control-allow-credentials'], undefined);
    }
  });

  it('lets a listed origin read every reply, and no other origin', async () => {
    const { call } = context().tenant;
    for (const line of ['GET /api/pets', 'GET /api/nothing', 'POST /api/pets']) {
      const { headers } = await call(line, undefined, { origin: page });
      assert.equal(headers['access-control-allow-origin'], page, line);
      assert.match(String(headers['access-control-expose-headers']), /ETag/);
      const strange = await call(line, undefined, { origin: 'https://evil.example' });
      assert.equal(strange.headers['access-control-allow-origin'], undefined);
      assert.equal(strange.headers.vary, 'Origin');
    }
    const wrong = { origin: page, authorization: 'Bearer wrong' };
    const answer = await call('GET /api/me', undefined, wrong);
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [401, page]);
  });

  it('sends no CORS headers to a preflight of another origin', async () => {
    for (const origin of ['https://evil.example', 'null', `${page}.evil.example`]) {
      const { status, headers } = await options('/api/pets', asking(origin, 'POST'));
      assert.equal(status, 204);
      const names = Object.keys(headers).filter((name) => name.startsWith('access-control'));
      assert.deepEqual(names, []);
    }
  });

  it('does not bill a preflight, nor record it as a failed login', async () => {
    const { kennel, tenant } = context();
    const operator = operatorOf(kennel);
    const failures = async () =>
      (await operator('GET /api/admin/audit?event=authentication_failed&limit=1')).text;
    const [before, usage] = [await failures(), await tenant.call('GET /api/usage')];
    for (let sent = 0; sent < 5; sent += 1) await options('/api/pets', asking(page, 'GET'));
    const after = await tenant.call('GET /api/usage');
    assert.equal(after.body.items[0].billed, usage.body.items[0].billed + 1);
    assert.equal(await failures(), before);
  });
}
