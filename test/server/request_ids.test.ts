import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { RequestIds } from '../../src/server/request_ids.ts';
import { uuidV7 } from '../e2e/contract/journey_context.ts';

describe('RequestIds', () => {
  it('are different UUIDv7s', () => {
    const ids = new RequestIds(4, randomFillSync);
    const made = Array.from({ length: 1_000 }, () => ids.next());
    assert.equal(new Set(made).size, made.length);
    for (const id of made) assert.match(id, uuidV7);
  });

  it('draw random bytes once for several ids', () => {
    let asked = 0;
    const ids = new RequestIds(4, () => {
      asked += 1;
    });
    for (let count = 0; count < 8; count += 1) ids.next();
    assert.equal(asked, 2);
  });

  it('use no random bytes twice (control: ids repeat when the bytes do)', () => {
    let given = false;
    const ids = new RequestIds(2, (bytes) => {
      if (!given) randomFillSync(bytes);
      given = true;
    });
    const [one, other, again] = [ids.next(), ids.next(), ids.next()].map((id) => id.slice(-12));
    assert.notEqual(one, other);
    assert.equal(one, again);
  });
});
