import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { hiddenPositions } from '../../../src/adapters/audit/hidden_positions.ts';

const { hide, reveal } = hiddenPositions(randomBytes(32));

describe('hiddenPositions()', () => {
  it('reveals what it has hidden', () => {
    for (const position of ['1', '41', '9007199254740993', '9223372036854775807']) {
      assert.equal(reveal(hide(position)), position);
    }
  });

  it('shows no distance between two positions', () => {
    const [one, next] = ['41', '42'].map((position) => Buffer.from(hide(position), 'base64url'));
    const equal = one?.filter((byte, at) => byte === next?.[at]);
    // By chance one byte in 256 is equal.
    assert.ok((equal?.length ?? 16) < 8);
  });

  it('reveals nothing in another text', () => {
    const foreign = hiddenPositions(randomBytes(32)).hide('41');
    for (const text of [
      '',
      '41',
      'A'.repeat(22),
      hide('41').slice(1),
      `${hide('41')}AA`,
      foreign,
    ]) {
      assert.equal(reveal(text), null);
    }
  });
});
