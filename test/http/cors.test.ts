import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { corsHeaders, parseOrigin } from '../../src/http/cors.ts';

describe('parseOrigin()', () => {
  for (const text of ['https://app.example', 'http://localhost:5173', 'https://[::1]:8443']) {
    it(`accepts ${text}`, () => assert.equal(parseOrigin(text), text));
  }
  it('returns lower case, as browsers send it', () => {
    assert.equal(parseOrigin('HTTPS://App.Example'), 'https://app.example');
  });
  for (const text of [
    ...['*', 'null', '', 'app.example', 'https://', 'https://*.example', 'ftp://app.example'],
    ...['https://app.example/', 'https://app.example/x', 'https://app.example?x', 'https://a b'],
    ...['https://user@app.example', 'https://app.example:443', 'https://app.example:99999'],
  ]) {
    it(`refuses "${text}"`, () => assert.equal(parseOrigin(text), null));
  }
});

describe('corsHeaders()', () => {
  const origins = new Set(['https://app.example']);
  it('returns no headers when no origin is listed', () => {
    assert.deepEqual(corsHeaders(new Set(), { origin: 'null', preflight: true }), []);
  });
  for (const origin of [null, 'null', '*', 'https://app.example.evil', 'http://app.example']) {
    it(`returns nothing but Vary for the origin ${origin}`, () => {
      for (const preflight of [true, false]) {
        assert.deepEqual(corsHeaders(origins, { origin, preflight }), ['vary', 'Origin']);
      }
    });
  }
  it('echoes a listed origin, and never allows cookies', () => {
    for (const preflight of [true, false]) {
      const headers = corsHeaders(origins, { origin: 'https://app.example', preflight });
      const at = headers.indexOf('access-control-allow-origin');
      assert.equal(headers[at + 1], 'https://app.example');
      assert.ok(!headers.includes('access-control-allow-credentials'));
    }
  });
});
