import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { json } from '../../src/http/reply.ts';
import { type Route, route } from '../../src/http/route.ts';
import { Router } from '../../src/http/router.ts';
import { Refusal } from '../../src/kernel/errors.ts';
import { isUuid } from '../../src/kernel/tenant.ts';

type Operator = { name: string };

/** Routes whose reply shows the input of their handler. */
const pets: Route<Operator>[] = [
  route('GET', '/pets', { query: v.object({ limit: v.optional(v.string()) }) }, tell),
  route('POST', '/pets', { body: v.strictObject({ name: v.string(), age: v.number() }) }, tell),
  route('PATCH', '/pets', { body: v.object({ name: v.optional(v.string()) }) }, tell),
  route('PUT', '/pets/fed', {}, tell),
  route('GET', '/pets/{id}', {}, tell),
  route('DELETE', '/pets/{id}', { role: 'admin' }, tell),
  route('GET', '/pets/new', {}, tell),
  route('GET', '/pets/{pet}/visits/{visit}', {}, tell),
  route('GET', '/users/{id}', { params: { id: isUuid } }, tell),
];
const router = new Router(pets, { fieldErrors: 3 });

async function tell({ name }: Operator, input: object) {
  return json(200, { ...input, by: name });
}

async function run(method: string, path: string, { query = '', body = {} as unknown } = {}) {
  const match = router.match(
    requestOf(method, query, async () => body),
    path,
  );
  assert.ok('parse' in match, `${method} ${path} must match`);
  const work = await match.parse();
  return JSON.parse((await work({ name: 'Ada' })).body ?? '');
}

function mismatch(method: string, path: string) {
  return router.match(
    requestOf(method, '', async () => null),
    path,
  );
}

function requestOf(method: string, query: string, body: () => Promise<unknown>, hasBody = true) {
  return { method, path: '', query, preconditions: null, hasBody, body };
}

/** The paths of the fields that a refusal names. */
function naming(...paths: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof Refusal);
    assert.equal(error.code, 'invalid_input');
    assert.deepEqual(
      error.facts.errors?.map(({ path }) => path),
      paths,
    );
    return true;
  };
}

describe('route()', () => {
  it("hands on the request's path and query, and not the request", async () => {
    const { target } = await run('GET', '/pets', { query: 'limit=5' });
    assert.deepEqual(target, { path: '', query: 'limit=5' });
  });

  it('types the input by pattern and schemas', () => {
    const body = v.object({ age: v.number() });
    route('PUT', '/a/{id}/b/{name}', { body }, async (_: Operator, { params, query, body }) => {
      const typed: [string, string, undefined, number] = [params.id, params.name, query, body.age];
      // @ts-expect-error the pattern has no such parameter
      return json(200, [typed, params.other]);
    });
  });
  it("types the context of a handler as a tenant's by default", () => {
    route('GET', '/me', {}, async ({ tenant }) => json(200, tenant.slug));
  });
});

describe('match()', () => {
  it('passes parameters to the handler undecoded', async () => {
    const { params } = await run('GET', '/pets/p-1/visits/v~2');
    assert.deepEqual(params, { pet: 'p-1', visit: 'v~2' });
  });
  it('prefers a fixed segment to a parameter', () => {
    assert.equal(mismatch('GET', '/pets/new').endpoint, '/pets/new');
  });
  it('tries the parameter when the fixed segment does not match further', () => {
    assert.equal(mismatch('GET', '/pets/new/visits/1').endpoint, '/pets/{pet}/visits/{visit}');
  });
  it('matches HEAD with the GET route', () => {
    assert.equal(mismatch('HEAD', '/pets/1').endpoint, '/pets/{id}');
  });
  it('returns the methods of a path for another method', () => {
    const allow = ['GET', 'DELETE', 'HEAD', 'OPTIONS'];
    assert.deepEqual(mismatch('PUT', '/pets/1'), { endpoint: '/pets/{id}', allow });
  });
  it('returns the role of a route', () => {
    const match = mismatch('DELETE', '/pets/1');
    assert.equal('role' in match && match.role, 'admin');
  });
  for (const path of ['/', '/pets/', '/pet', '/pets/1/visits', '/constructor', '/__proto__', '']) {
    it(`finds nothing at "${path}"`, () => {
      assert.deepEqual(mismatch('GET', path), { endpoint: 'unmatched', allow: null });
    });
  }
  it('does not treat "constructor" as a method', () => {
    assert.ok('allow' in mismatch('constructor', '/pets'));
  });
  it('refuses two routes for one method and path', () => {
    const twice = [route('GET', '/a/{b}', {}, tell), route('GET', '/a/{c}', {}, tell)];
    assert.throws(() => new Router(twice, { fieldErrors: 3 }), /Cannot add the route "GET/);
  });
});

describe('parse()', () => {
  it('passes the parsed body to the handler', async () => {
    const body = { name: 'Rex', age: 3 };
    assert.deepEqual((await run('POST', '/pets', { body })).body, body);
  });
  it('names each wrong and each unknown field', async () => {
    const body = { name: 1, colour: 'red', size: 2 };
    await assert.rejects(run('POST', '/pets', { body }), naming('colour', 'size', 'name'));
  });
  it('names a bounded number of fields', async () => {
    const body = { a: 1, b: 2, c: 3, d: 4, e: 5 };
    await assert.rejects(run('POST', '/pets', { body }), naming('a', 'b', 'c'));
  });
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    it(`refuses the unknown field "${name}"`, async () => {
      const body = { name: 'Rex', age: 3, [name]: 1 };
      await assert.rejects(run('POST', '/pets', { body }), naming(name));
    });
  }
  for (const body of [[], ['a'], 'text', 1, null]) {
    it(`refuses ${JSON.stringify(body)} in place of an object`, async () => {
      await assert.rejects(run('PATCH', '/pets', { body }), naming(''));
    });
  }
  it('refuses each field of a body where the route declares none', async () => {
    await assert.rejects(run('PUT', '/pets/fed', { body: { bogus: 1 } }), naming('bogus'));
    await assert.rejects(run('PUT', '/pets/fed', { body: [] }), naming(''));
    assert.equal((await run('PUT', '/pets/fed')).by, 'Ada');
  });
  it('does not read a body where there is none, or for a DELETE', async () => {
    const unread = () => assert.fail('the body must not be read');
    for (const request of [
      { ...requestOf('PUT', '', unread, false), path: '/pets/fed' },
      { ...requestOf('DELETE', '', unread), path: '/pets/1' },
    ]) {
      const match = router.match(request, request.path);
      assert.ok('parse' in match);
      await match.parse();
    }
  });
  it('decodes the query as forms encode it', async () => {
    const { query } = await run('GET', '/pets', { query: '&limit=a+%C3%A9%26&&' });
    assert.deepEqual(query, { limit: 'a é&' });
  });
  for (const [query, path] of Object.entries({
    'limit=5&utm_source=x': 'utm_source',
    constructor: 'constructor',
    '__proto__=1': '__proto__',
    '=1': '',
    'limit=5&limit=6': 'limit',
    'limit=5&l%69mit=6': 'limit',
    'limit=%zz': 'limit',
    'limit=%': 'limit',
    'limit=%ff': 'limit',
    'limit=%ed%a0%80': 'limit',
    '%ff=1': '',
  })) {
    it(`refuses the query "${query}"`, async () => {
      await assert.rejects(run('GET', '/pets', { query }), naming(path));
    });
  }
  it('refuses every query parameter of a route without a query', async () => {
    for (const [method, path] of [
      ['GET', '/pets/1'],
      ['PATCH', '/pets'],
      ['DELETE', '/pets/1'],
    ]) {
      await assert.rejects(run(String(method), String(path), { query: 'x=1' }), naming('x'));
    }
    assert.equal((await run('GET', '/pets/1', { query: '&' })).by, 'Ada');
  });
  it('answers not_found for a path parameter of the wrong form', async () => {
    await assert.rejects(run('GET', '/users/1'), { code: 'not_found' });
  });
});
