import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Seen } from './attack.ts';
import { breachIn, type Evidence, wordsFor } from './judge.ts';

const marks = { mark: 'secret-1', bait: 'bait-1' };

function seen(text: string, headers = '', status = 200): Seen {
  return { status, headers, text };
}

function judged(evidence: Partial<Evidence>): string | null {
  const nothing = { answers: [], shownToVictim: [], pairs: [], before: [], after: [] };
  return breachIn({ ...nothing, ...evidence }, marks);
}

describe('breachIn()', () => {
  it('finds a secret in an answer', () => {
    assert.ok(judged({ answers: [seen('{}'), seen('{"name":"secret-1"}')] }));
  });

  it('finds a secret in a header', () => {
    assert.ok(judged({ answers: [seen('', 'location: /secret-1')] }));
  });

  it('finds what the attacker put before the victim', () => {
    assert.ok(judged({ shownToVictim: [seen('{"name":"bait-1"}')] }));
  });

  it('finds a row that was changed, gone or added, and names its table', () => {
    const [rex, max] = ['pets {"name":"Rex"}', 'pets {"name":"Max"}'];
    assert.equal(judged({ before: [rex], after: [max] }), 'a row of pets was changed');
    assert.equal(judged({ before: [rex], after: [] }), 'a row of pets was changed');
    assert.equal(judged({ before: [rex], after: [rex, max] }), 'a row of pets has appeared');
  });

  it('finds two answers that can be told apart', () => {
    const told = judged({ pairs: [[seen('{}', '', 201), seen('{"code":"conflict"}', '', 409)]] });
    assert.equal(told, 'told apart: 201 and 409 conflict');
  });

  it('takes new ids and times for no difference', () => {
    const one = seen(
      '{"id":"01890000-0000-7000-8000-000000000001","at":"2026-01-01T00:00:00.000Z"}',
    );
    const two = seen(
      '{"id":"01890000-0000-7000-8000-000000000002","at":"2026-01-01T00:00:00.001Z"}',
    );
    assert.equal(judged({ pairs: [[one, two]] }), null);
  });

  it('finds nothing where there is no evidence, however well it went for the attacker', () => {
    const shown = { answers: [seen('{"rows":[]}')], shownToVictim: [seen('{"name":"secret-1"}')] };
    assert.equal(judged({ ...shown, before: ['pets {}'], after: ['pets {}'] }), null);
  });
});

describe('wordsFor()', () => {
  it('tells the code of a problem, and what the database said', () => {
    assert.equal(
      wordsFor(seen('{"code":"not_found","detail":"Not found"}', '', 404)),
      '404 not_found',
    );
    const words = '{"code":"invalid_input","detail":"42501: no tenant context"}';
    assert.equal(wordsFor(seen(words, '', 422)), 'SQLSTATE 42501, no tenant context');
  });

  it('counts the rows of a list', () => {
    assert.equal(wordsFor(seen('{"rows":[{},{}]}')), '200, 2 rows');
  });
});
