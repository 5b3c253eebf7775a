import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  assertChangeable,
  entityTag,
  preconditionsIn,
  unlessKnown,
} from '../../src/http/preconditions.ts';

const tag = entityTag('{"name":"Rex"}');
const failed = { name: 'Refusal', code: 'precondition_failed' };
const reply = { status: 200, headers: { etag: tag }, body: '{"name":"Rex"}' };

function sent(name: string, ...values: string[]) {
  const preconditions = preconditionsIn(values.flatMap((value) => [name, value]));
  assert.ok(preconditions);
  return preconditions;
}

describe('entityTag()', () => {
  it('is strong, and differs for another body', () => {
    assert.match(tag, /^"[\w-]{22}"$/);
    assert.notEqual(tag, entityTag('{"name":"Max"}'));
  });
});

describe('preconditionsIn()', () => {
  it('is null without preconditions', () => assert.equal(preconditionsIn(['Host', 'a']), null));
});

describe('assertChangeable()', () => {
  for (const list of [tag, '*', ' * ', `"other", ${tag}`, `W/"x",${tag} , "y"`, `"a,b" ${tag}`]) {
    it(`accepts If-Match: ${list}`, () => assertChangeable(sent('if-match', list), tag));
  }
  it('reads several lines as one list', () => assertChangeable(sent('If-Match', '"x"', tag), tag));
  for (const list of ['"bogus"', '', `W/${tag}`, tag.slice(1, -1), tag.toLowerCase(), '"*"']) {
    it(`refuses If-Match: ${list}`, () => {
      assert.throws(() => assertChangeable(sent('if-match', list), tag), failed);
    });
  }
  it('refuses any If-Match when there is no resource', () => {
    for (const list of ['*', tag]) {
      assert.throws(() => assertChangeable(sent('if-match', list), null), failed);
    }
  });
  it('refuses an If-None-Match that matches the resource', () => {
    for (const list of ['*', tag, `W/${tag}`]) {
      assert.throws(() => assertChangeable(sent('if-none-match', list), tag), failed);
      assertChangeable(sent('if-none-match', list), null);
    }
    assertChangeable(sent('if-none-match', '"other"'), tag);
  });
});

describe('unlessKnown()', () => {
  for (const list of [tag, '*', `W/${tag}`, `"other", ${tag}`]) {
    it(`answers If-None-Match: ${list} with 304`, () => {
      const { status, headers, body } = unlessKnown(sent('if-none-match', list), reply);
      assert.deepEqual([status, headers, body], [304, { etag: tag }, null]);
    });
  }
  it('returns a reply whose tag differs or is missing', () => {
    assert.equal(unlessKnown(sent('if-none-match', '"other"'), reply), reply);
    const list = { status: 200, body: '[]' };
    assert.equal(unlessKnown(sent('if-none-match', '*'), list), list);
  });
  it('checks If-Match too', () => {
    assert.equal(unlessKnown(sent('if-match', tag), reply), reply);
    assert.throws(() => unlessKnown(sent('if-match', '"other"'), reply), failed);
  });
  it('accepts If-Match: * without a tag: there is a reply', () => {
    const list = { status: 200, body: '[]' };
    assert.equal(unlessKnown(sent('if-match', '*'), list), list);
    assert.throws(() => unlessKnown(sent('if-match', '"other"'), list), failed);
  });
});
