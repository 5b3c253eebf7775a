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
  it("finds the victim's secret in a reply", () => {
    assert.ok(judged({ answers: [seen('{}'), seen('{"name":"secret-1"}')] }));
  });

  it("finds the victim's secret in a header", () => {
    assert.ok(judged({ answers: [seen('', 'location: /secret-1')] }));
  });

  it("finds the attacker's bait in a reply to the victim", () => {
    assert.ok(judged({ shownToVictim: [seen('{"name":"bait-1"}')] }));
  });

  it('finds a changed, deleted or added row, and names its table', () => {
    const [rex, max] = ['pets {"name":"Rex"}', 'pets {"name":"Max"}'];
    assert.equal(judged({ before: [rex], after: [max] }), 'a row of pets was changed');
    assert.equal(judged({ before: [rex], after: [] }), 'a row of pets was changed');
    assert.equal(judged({ before: [rex], after: [rex, max] }), 'a row of pets has appeared');
  });

  it('finds two replies that must not differ', () => {
    const told = judged({ pairs: [[seen('{}', '', 201), seen('{"code":"conflict"}', '', 409)]] });
    assert.equal(told, 'told apart: 201 and 409 conflict');
  });

  it('ignores different ids and times', () => {
    const one = seen(
      '{"id":"01890000-0000-7000-8000-000000000001","at":"2026-01-01T00:00:00.000Z"}',
    );
    const two = seen(
      '{"id":"01890000-0000-7000-8000-000000000002","at":"2026-01-01T00:00:00.001Z"}',
    );
    assert.equal(judged({ pairs: [[one, two]] }), null);
  });

  it('finds nothing in a success without evidence', () => {
    const shown = { answers: [seen('{"rows":[]}')], shownToVictim: [seen('{"name":"secret-1"}')] };
    assert.equal(judged({ ...shown, before: ['pets {}'], after: ['pets {}'] }), null);
  });
});

describe('wordsFor()', () => {
  it('returns the code of a problem, or the SQLSTATE and message', () => {
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
