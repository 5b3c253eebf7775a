import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problem, refusalFrom } from '../../src/http/problem.ts';
import { Refusal, type RefusalCode } from '../../src/kernel/errors.ts';

function bodyOf(refusal: Refusal) {
  return JSON.parse(problem(refusal, 'request-1').body ?? '');
}

describe('problem()', () => {
  it('has type, title, status, detail, code and request id', () => {
    const refusal = new Refusal('slug_taken', { detail: 'The slug "acme" is taken' });
    assert.deepEqual(bodyOf(refusal), {
      type: 'urn:kennel:problem:slug_taken',
      title: 'Slug taken',
      status: 409,
      detail: 'The slug "acme" is taken',
      code: 'slug_taken',
      request_id: 'request-1',
    });
  });
  it('shows malformed input as invalid_input with 400', () => {
    const { status, code } = bodyOf(new Refusal('malformed'));
    assert.deepEqual([status, code], [400, 'invalid_input']);
  });
  it('names the wrong fields', () => {
    const errors = [{ path: 'a.b', message: 'Expected a string' }];
    assert.deepEqual(bodyOf(new Refusal('invalid_input', { errors })).errors, errors);
  });
  const headers: [RefusalCode, object, string, string][] = [
    ['unauthenticated', {}, 'www-authenticate', 'Bearer realm="kennel"'],
    [
      'unauthenticated',
      { invalidToken: true },
      'www-authenticate',
      'Bearer realm="kennel", error="invalid_token"',
    ],
    ['method_not_allowed', { allow: ['GET', 'HEAD'] }, 'allow', 'GET, HEAD'],
    ['rate_limited', { retryAfterSeconds: 36 }, 'retry-after', '36'],
    ['unavailable', {}, 'retry-after', '1'],
  ];
  for (const [code, facts, name, value] of headers) {
    it(`sends ${name} with ${code}`, () => {
      assert.equal(problem(new Refusal(code, facts), 'request-1').headers?.[name], value);
    });
  }
});

describe('refusalFrom()', () => {
  it('leaves a refusal as it is', () => {
    const refusal = new Refusal('not_found');
    assert.equal(refusalFrom(refusal), refusal);
  });
  for (const thrown of [new Error('select * from secrets'), 'secrets', null, undefined]) {
    it(`reveals nothing of the thrown ${String(thrown)}`, () => {
      const { status, detail } = bodyOf(refusalFrom(thrown));
      assert.equal(status, 500);
      assert.doesNotMatch(detail, /secrets|null|undefined/);
    });
  }
});
