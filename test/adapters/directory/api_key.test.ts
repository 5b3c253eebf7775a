import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  apiKeyIn,
  formatApiKey,
  secretDigest,
  secretMatches,
} from '../../../src/adapters/directory/api_key.ts';

const id = randomUUID();
const secret = randomBytes(32);
const key = formatApiKey(id, secret);

describe('apiKeyIn()', () => {
  it('reads what formatApiKey() wrote', () => {
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
    it(`finds none in "${header?.slice(0, 30)}"`, () => assert.equal(apiKeyIn(header), null));
  }
});

describe('secretMatches()', () => {
  const text = secret.toString('hex');

  it('is true for the digest of that secret alone', () => {
    assert.equal(secretMatches(text, secretDigest(text)), true);
    assert.equal(secretMatches(text, secretDigest(`${text}0`)), false);
  });

  it('is false for an unknown key, even for the secret whose digest stands in for it', () => {
    assert.equal(secretMatches(text, null), false);
  });
});
