import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isJson } from '../../src/http/media_type.ts';

describe('isJson()', () => {
  for (const type of [
    ...[
      'application/json',
      'Application/JSON',
      'application/merge-patch+json',
      'application/json ',
    ],
    ...['application/json;', 'application/json; ;;', 'application/json;charset=utf-8'],
    ...['application/json; charset=utf8', 'application/json ; Charset="UTF-8"'],
    ...['application/json; version=1', 'application/json; x="a;charset=latin1\\""; charset=utf-8'],
  ]) {
    it(`reads ${type}`, () => assert.ok(isJson(type)));
  }
  for (const type of [
    ...['', 'text/json', 'application/jsonp', 'application/+json', 'application/json+xml'],
    ...['application/json; charset=latin1', 'application/json; charset=utf-8; charset=utf-16'],
    ...['application/json; charset', 'application/json; charset =utf-8', 'application/json; x="'],
    ...[
      'application/json, text/plain',
      'application/json charset=utf-8',
      'application/json; a b=c',
    ],
  ]) {
    it(`does not read ${type}`, () => assert.ok(!isJson(type)));
  }

  it('answers in linear time, whatever the blanks', () => {
    for (const blanks of ['', '      ']) {
      const many = `application/json${`${blanks};${blanks}`.repeat(500)}`;
      assert.ok(isJson(many));
      assert.ok(!isJson(`${many}@`));
    }
  });
});
