import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { apiKeyIn, formatApiKey } from '../../../src/adapters/directory/api_key.ts';

const id = randomUUID();
const secret = randomBytes(32);
const key = formatApiKey(id, secret);

describe('apiKeyIn()', () => {
  it('reads a key that formatApiKey() wrote', () => {
    const given = { id, secret: secret.toString('hex') };
    assert.deepEqual(apiKeyIn(`Bearer ${key}`), given);
    assert.deepEqual(apiKeyIn(`bearer  ${key} `), given);
  });

  const wrong = [
    null,
    '',
    key,
    'Bearer',
    `Basic ${key}`,
    `Bearer ${key}0`,
    `Bearer ${key.slice(0, -1)}`,
    `Bearer ${key.toUpperCase()}`,
    `Bearer ${key} ${key}`,
    `Bearer ${'kn_'.repeat(10_000)}`,
  ];
  for (const header of wrong) {
    it(`returns null for "${header?.slice(0, 30)}"`, () => assert.equal(apiKeyIn(header), null));
  }
});
