import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ExpectedReplies } from '../../../src/postgres/protocol/expected_replies.ts';
import * as messages from '../../../src/postgres/protocol/messages.ts';

const { bind, close, execute, parse, query, sync } = messages;

/** The first of the replies, by the type bytes, that is not due; null when all are. */
function firstWrong(sent: readonly Buffer[], replies: string): string | null {
  const expected = new ExpectedReplies();
  for (const bytes of sent) expected.add(bytes);
  const wrong = [...replies].findIndex((reply) => !expected.accept(reply.charCodeAt(0)));
  return wrong === -1 ? null : replies.slice(wrong);
}

const call = [parse('s', 'select'), messages.describe('s'), bind('s', []), execute, sync];
const known = [bind('s', []), execute, sync];
const envelope = [bind('context', []), execute, bind('s', []), execute, bind('reset', []), execute];
const command = [query('commit')];

describe('ExpectedReplies', () => {
  for (const [what, sent, replies] of [
    ['a statement that is parsed', call, '1tT2DDCZ'],
    ['a statement without rows', call, '1tn2CZ'],
    ['an empty statement', call, '1tn2IZ'],
    ['a prepared statement', known, '2DCZ'],
    ['a statement in an envelope', [...envelope, sync], '2DC2DDDC2CZ'],
    ['a statement behind one that is closed', [close('r'), ...known], '32CZ'],
    ['a statement that fails', call, '1tT2DEZ'],
    ['a statement that cannot be prepared', call, 'EZ'],
    ['a transaction that fails as it is committed', known, '2CEZ'],
    ['simple statements', command, 'TDCCTCZ'],
    ['a simple statement that fails', command, 'CTDEZ'],
    ['an empty simple statement', command, 'IZ'],
    ['messages in one buffer', [Buffer.concat(call)], '1tT2CZ'],
  ] as const) {
    it(`accepts the replies to ${what}`, () => assert.equal(firstWrong(sent, replies), null));
  }

  for (const [what, sent, replies, wrong] of [
    ['too few completions', [...envelope, sync], '2C2CZ', 'Z'],
    ['a completion too many', known, '2CCZ', 'CZ'],
    ['a simple query without a completion', command, 'Z', 'Z'],
    ['rows of a simple query that is not complete', command, 'TDZ', 'Z'],
    ['a completion without a parse', call, '2CZ', '2CZ'],
    ['a completion without a bind', known, 'CZ', 'CZ'],
    ['a statement that is not described', call, '12DCZ', '2DCZ'],
    ['columns without parameters', call, '1T2DCZ', 'T2DCZ'],
    ['a row before its columns', call, '1tDT2CZ', 'DT2CZ'],
    ['a row before its bind', known, 'D2CZ', 'D2CZ'],
    ['a row after the completion', known, '2CDZ', 'DZ'],
    ['columns of a prepared statement', known, '2TDCZ', 'TDCZ'],
    ['columns twice', call, '1tTT2CZ', 'T2CZ'],
    ['a close that was not asked for', known, '32CZ', '32CZ'],
    ['a missing close', [close('r'), ...known], '2CZ', '2CZ'],
    ['a completion after an error', known, '2ECZ', 'CZ'],
    ['a row after an error', known, '2EDZ', 'DZ'],
    ['a second error', known, '2EEZ', 'EZ'],
    ['an offer to copy', known, '2GZ', 'GZ'],
    ['a portal that is suspended', known, '2DsZ', 'sZ'],
  ] as const) {
    it(`refuses ${what}`, () => assert.equal(firstWrong(sent, replies), wrong));
  }
});
