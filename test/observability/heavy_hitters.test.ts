import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HeavyHitters } from '../../src/observability/heavy_hitters.ts';

function busiest(slots: number, counted: number) {
  const dropped: string[] = [];
  const onDropped = (name: string) => dropped.push(name);
  const names = new HeavyHitters({ slots, counted, windowMs: 1_000, onDropped });
  const request = (name: string, nowMs: number, times = 1) => {
    for (let time = 1; time < times; time += 1) names.label(name, nowMs);
    return names.label(name, nowMs);
  };
  return { names, request, dropped };
}

describe('HeavyHitters', () => {
  it('gives a name a free slot at once', () => {
    const { request } = busiest(2, 8);
    assert.equal(request('a', 0), 'a');
    assert.equal(request('b', 0), 'b');
    assert.equal(request('c', 0), 'other');
  });

  it('never takes a slot away within a window', () => {
    const { request, dropped } = busiest(1, 8);
    request('a', 0);
    assert.equal(request('b', 999, 100), 'other');
    assert.deepEqual(dropped, []);
  });

  it('gives the slot to a busier name in the next window', () => {
    const { request, dropped } = busiest(1, 8);
    request('a', 0);
    request('b', 0, 2);
    assert.equal(request('b', 1_000), 'b');
    assert.equal(request('a', 1_000), 'other');
    assert.deepEqual(dropped, ['a']);
  });

  it("keeps the holder's slot among equals", () => {
    const { request, dropped } = busiest(1, 8);
    request('a', 0);
    request('b', 0);
    assert.equal(request('b', 1_000), 'other');
    assert.deepEqual(dropped, []);
  });

  it("keeps a quiet name's slot until a busier one needs it", () => {
    const { request, dropped } = busiest(2, 8);
    request('quiet', 0);
    request('a', 0);
    request('a', 1_000);
    request('a', 2_000);
    assert.equal(request('quiet', 2_500), 'quiet');
    assert.deepEqual(dropped, []);
  });

  it('ranks by the last window alone', () => {
    const { request } = busiest(1, 8);
    request('a', 0, 1_000);
    request('a', 1_000);
    request('b', 1_000, 2);
    assert.equal(request('b', 2_000), 'b');
  });

  it('frees the slot of a name that is forgotten', () => {
    const { names, request, dropped } = busiest(1, 8);
    request('a', 0);
    names.forget('a');
    assert.equal(request('b', 0), 'b');
    assert.deepEqual(dropped, []);
  });

  it('finds the busy name among many more names than it counts', () => {
    const { request } = busiest(1, 10);
    for (let index = 0; index < 10_000; index += 1) {
      request(`rare-${index}`, 0);
      if (index % 5 === 0) request('busy', 0);
    }
    assert.equal(request('busy', 1_000), 'busy');
  });
});
