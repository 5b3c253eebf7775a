import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byHeader } from '../../../src/adapters/resolution/by_header.ts';
import { byPath } from '../../../src/adapters/resolution/by_path.ts';
import { bySubdomain } from '../../../src/adapters/resolution/by_subdomain.ts';

const facts = { host: 'localhost', path: '/api/pets', tenantHeaders: [] };

describe('every strategy', () => {
  for (const [name, strategy] of Object.entries({
    byHeader,
    byPath,
    bySubdomain: bySubdomain('localhost'),
  })) {
    it(`names no tenant for a request that does not use it: ${name}`, () => {
      assert.deepEqual(strategy(facts), []);
    });
  }
});

describe('bySubdomain()', () => {
  const strategy = bySubdomain('petstore.example');
  const named = (host: string) => strategy({ ...facts, host }).map(({ slug }) => slug);

  it('takes the slug before the base domain', () => {
    assert.deepEqual(named('acme-pets.petstore.example'), ['acme-pets']);
  });

  it('ignores reserved subdomains', () => {
    assert.deepEqual([...named('api.petstore.example'), ...named('www.petstore.example')], []);
  });

  it('takes a deeper subdomain whole, which is no valid slug', () => {
    assert.deepEqual(named('x.acme-pets.petstore.example'), ['x.acme-pets']);
  });

  it('ignores a domain that only ends like the base domain', () => {
    assert.deepEqual(named('acme-pets.evilpetstore.example'), []);
    assert.deepEqual(named('petstore.example'), []);
  });

  it('names the tenant of Host as well as that of the forwarded host', () => {
    const own = { ...facts, ownHost: 'b.petstore.example' };
    const both = (host: string) => strategy({ ...own, host }).map(({ slug }) => slug);
    assert.deepEqual(both('a.petstore.example'), ['a', 'b']);
    assert.deepEqual(both('petstore.example'), [], 'a proxy that names nobody hides Host');
  });
});

describe('byPath()', () => {
  const named = (path: string) => byPath({ ...facts, path });

  it('removes the prefix from the path', () => {
    assert.deepEqual(named('/acme-pets/api/pets'), [
      { slug: 'acme-pets', by: 'path', path: '/api/pets' },
    ]);
    assert.deepEqual(named('/acme-pets/api'), [{ slug: 'acme-pets', by: 'path', path: '/api' }]);
  });

  it('finds no prefix unless /api follows it', () => {
    for (const path of ['/acme-pets/pets', '/acme-pets/apis', '/a/b/api/pets', '/api/api']) {
      assert.deepEqual(named(path), [], path);
    }
  });
});

describe('byHeader()', () => {
  it('names one tenant for each value of the header', () => {
    assert.deepEqual(byHeader({ ...facts, tenantHeaders: ['a', 'b'] }), [
      { slug: 'a', by: 'header' },
      { slug: 'b', by: 'header' },
    ]);
  });
});
