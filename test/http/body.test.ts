import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseJson } from '../../src/http/body.ts';

function parse(text: string, depth = 4): unknown {
  return parseJson(Buffer.from(text), depth);
}

const malformed = { name: 'Refusal', code: 'malformed' };

describe('parseJson()', () => {
  it('reads JSON, with or without a byte order mark', () => {
    assert.deepEqual(parse('{"name":"Ré"}'), { name: 'Ré' });
    assert.deepEqual(parse('\ufeff[1]'), [1]);
  });
  for (const text of ['', ' ', '{', "{'a':1}", '[1,]', 'NaN', '{} {}']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parse(text), malformed));
  }
  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => parseJson(Buffer.from([0x22, 0xc3, 0x28, 0x22]), 4), malformed);
  });
  for (const text of [
    '{"__proto__":{}}',
    '{"\\u005f_proto__":1}',
    '{"a":[{"__proto__":null}]}',
    '{"constructor":{"prototype":{}}}',
  ]) {
    it(`refuses the forbidden key in ${text}`, () => assert.throws(() => parse(text), malformed));
  }
  it('accepts a plain "constructor", which the schema refuses as an unknown field', () => {
    assert.deepEqual(Object.keys(Object(parse('{"constructor":1}'))), ['constructor']);
  });
  it('accepts nesting up to the bound', () => {
    assert.deepEqual(parse('[{"a":[1]}]', 3), [{ a: [1] }]);
    assert.throws(() => parse('[{"a":[1]}]', 2), malformed);
    assert.equal(parse('1', 0), 1);
  });
  it('refuses 120 000 levels without a stack overflow', () => {
    const levels = 120_000;
    assert.throws(() => parse('['.repeat(levels) + ']'.repeat(levels)), malformed);
  });
});
