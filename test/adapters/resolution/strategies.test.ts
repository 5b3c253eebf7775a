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
    it(`names nobody where the request does not use it: ${name}`, () => {
      assert.deepEqual(strategy(facts), []);
    });
  }
});

describe('bySubdomain()', () => {
  const strategy = bySubdomain('petstore.example');
  const named = (host: string) => strategy({ ...facts, host }).map(({ slug }) => slug);

  it('takes what stands before the base domain', () => {
    assert.deepEqual(named('acme-pets.petstore.example'), ['acme-pets']);
  });

  it('leaves reserved names to path and header', () => {
    assert.deepEqual([...named('api.petstore.example'), ...named('www.petstore.example')], []);
  });

  it('takes a deeper name whole, so that it is nobody', () => {
    assert.deepEqual(named('x.acme-pets.petstore.example'), ['x.acme-pets']);
  });

  it('is not taken in by a domain that only ends alike', () => {
    assert.deepEqual(named('acme-pets.evilpetstore.example'), []);
    assert.deepEqual(named('petstore.example'), []);
  });

  it('names what Host says too, where a proxy names another', () => {
    const own = { ...facts, ownHost: 'b.petstore.example' };
    const both = (host: string) => strategy({ ...own, host }).map(({ slug }) => slug);
    assert.deepEqual(both('a.petstore.example'), ['a', 'b']);
    assert.deepEqual(both('petstore.example'), [], 'a proxy that names nobody hides Host');
  });
});

describe('byPath()', () => {
  const named = (path: string) => byPath({ ...facts, path });

  it('takes the prefix off', () => {
    assert.deepEqual(named('/acme-pets/api/pets'), [{ slug: 'acme-pets', path: '/api/pets' }]);
    assert.deepEqual(named('/acme-pets/api'), [{ slug: 'acme-pets', path: '/api' }]);
  });

  it('sees no prefix before anything but /api', () => {
    for (const path of ['/acme-pets/pets', '/acme-pets/apis', '/a/b/api/pets', '/api/api']) {
      assert.deepEqual(named(path), [], path);
    }
  });
});

describe('byHeader()', () => {
  it('names as often as the header is sent', () => {
    assert.deepEqual(byHeader({ ...facts, tenantHeaders: ['a', 'b'] }), [
      { slug: 'a' },
      { slug: 'b' },
    ]);
  });
});
