import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GrowableBuffer } from '../../src/http/growable_buffer.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const pieces = 200_000;
const MiB = 1_024 * 1_024;

/** The growth of the heap while `keep` kept every piece that it was given. */
function heapGained(keep: (piece: Buffer) => void): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < pieces; at += 1) keep(Buffer.from([at % 256]));
  collectGarbage();
  return process.memoryUsage().heapUsed - before;
}

describe('GrowableBuffer', () => {
  it('returns all pieces in order', () => {
    const gathered = new GrowableBuffer();
    for (const piece of ['', 'a', 'bc', '', 'defghij']) gathered.add(Buffer.from(piece));
    assert.deepEqual([String(gathered.bytes()), gathered.size], ['abcdefghij', 10]);
  });
  it('is empty at first', () => {
    assert.equal(new GrowableBuffer().bytes().length, 0);
  });
  it('keeps no reference to its pieces', () => {
    const gathered = new GrowableBuffer();
    assert.ok(heapGained((piece) => gathered.add(piece)) < 2 * MiB);
    assert.equal(gathered.size, pieces);
  });
  it('control: a list keeps them', () => {
    const list: Buffer[] = [];
    assert.ok(heapGained((piece) => list.push(piece)) > 10 * MiB);
    assert.equal(list.length, pieces);
  });
});
