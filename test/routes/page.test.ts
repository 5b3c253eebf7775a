import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { cursor, page } from '../../src/routes/page.ts';

const digits = (text: string) => /^\d+$/.test(text);

describe('page()', () => {
  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);
  const target = { path: '/acme/api/pets', query: 'species=a+b&cursor=old' };
  const reply = (count: number) => page(numbers(count), { limit: 2, target }, (n) => [String(n)]);
  const list = (count: number) => JSON.parse(reply(count).body ?? '');

  it('has no cursor when everything fits', () => {
    assert.deepEqual(list(2), { items: [0, 1], next_cursor: null });
    assert.deepEqual(list(0), { items: [], next_cursor: null });
  });

  it('has a cursor with the key of its last item when there is more', () => {
    const { items, next_cursor } = list(3);
    assert.deepEqual(items, [0, 1]);
    assert.deepEqual(v.parse(cursor(digits), next_cursor), ['1']);
  });

  it('links to the next page with the same query', () => {
    const { next_cursor } = list(3);
    const link = `</acme/api/pets?species=a+b&cursor=${next_cursor}>; rel="next"`;
    assert.deepEqual([reply(3).headers?.link, reply(2).headers?.link], [link, undefined]);
  });
});

describe('cursor()', () => {
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  it('refuses an invalid cursor', () => {
    const wrong = ['', 'x', '%', encoded([]), encoded(['a']), encoded(['1', '2']), encoded([1])];
    for (const text of [...wrong, encoded({}), encoded('1'), 'A'.repeat(501)]) {
      assert.ok(!v.is(cursor(digits), text), text);
    }
  });
});
