import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSlug, tenantId } from '../../src/kernel/tenant.ts';

describe('parseSlug()', () => {
  it('accepts 3 to 40 of a-z, 0-9 and "-", from a letter to a letter or digit', () => {
    for (const slug of ['abc', 'acme-pets', 'a-1', 'a--b', 'abc--d', `a${'b'.repeat(39)}`]) {
      assert.equal(parseSlug(slug), slug);
    }
  });

  it('refuses every other form', () => {
    const wrong = ['', 'ab', 'Abc', '1abc', '-abc', 'abc-', 'a_b', 'a.b', 'äbc', 'abc\n', ' abc'];
    for (const text of [...wrong, `a${'b'.repeat(40)}`]) assert.equal(parseSlug(text), null, text);
  });

  it('refuses the prefix of a host label in punycode', () => {
    for (const text of ['xn--80ak6aa92e', 'xn--a']) assert.equal(parseSlug(text), null);
    for (const text of ['ab--c', 'xn-a', 'axn--b']) assert.equal(parseSlug(text), text);
  });

  it('refuses names that hosts, paths and metric labels reserve', () => {
    for (const text of ['api', 'admin', 'www', 'metrics', 'none', 'other']) {
      assert.equal(parseSlug(text), null, text);
    }
  });
});

describe('tenantId()', () => {
  it('accepts a UUID, and throws otherwise', () => {
    const id = '01890000-0000-7000-8000-000000000001';
    assert.equal(tenantId(id), id);
    assert.throws(() => tenantId("'; drop schema shared"), /it is not a UUID/);
  });
});
