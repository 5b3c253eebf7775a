import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LoginThrottle, networkOf } from '../../../src/adapters/login_throttle/login_throttle.ts';

const limits = {
  burst: 3,
  perHour: 3_600,
  delayMs: 1,
  waitingPerAddress: 2,
  waiting: 3,
  addresses: 10,
};

/** A throttle with its own clock, and the outcome of many failures at once. */
function onClock(nowMs: () => number) {
  const throttle = new LoginThrottle(limits, { nowMs });
  const fail = (address: string, times: number) =>
    Array.from({ length: times }, () => throttle.onFailure(address, 'operator'));
  return { throttle, fail };
}

describe('LoginThrottle', () => {
  it('lets the first failures pass, delays the next and refuses the rest', async () => {
    const { fail } = onClock(() => 0);
    const failures = fail('192.0.2.1', 6);
    assert.deepEqual(
      failures.map(({ delayed }) => delayed),
      [false, false, false, true, true, true],
    );
    const replies = await Promise.all(failures.map((failure) => failure.mayReply));
    assert.deepEqual(replies, [true, true, true, true, true, false]);
  });

  it('does not delay another address', () => {
    const { fail } = onClock(() => 0);
    fail('192.0.2.1', 6);
    assert.equal(fail('192.0.2.2', 1).at(0)?.delayed, false);
  });

  it('lets failures pass again as time goes by', () => {
    let nowMs = 0;
    const { fail } = onClock(() => nowMs);
    fail('192.0.2.1', 3);
    assert.equal(fail('192.0.2.1', 1).at(0)?.delayed, true);
    nowMs = 1_000;
    assert.deepEqual(
      fail('192.0.2.1', 2).map(({ delayed }) => delayed),
      [false, true],
    );
  });

  it('tests at most the burst of concurrent guesses from one network', () => {
    const { throttle } = onClock(() => 0);
    const guesses = Array.from({ length: 1_000 }, () => {
      const tested = throttle.checksCredentials('2001:db8::1', 'operator');
      throttle.onFailure('2001:db8::2', 'operator');
      return tested;
    });
    assert.equal(guesses.filter(Boolean).length, limits.burst);
    assert.equal(throttle.checksCredentials('2001:db8:0:1::1', 'operator'), true);
  });

  it('tests an address again as time goes by', () => {
    let nowMs = 0;
    const { throttle, fail } = onClock(() => nowMs);
    fail('192.0.2.1', 4);
    assert.equal(throttle.checksCredentials('192.0.2.1', 'operator'), false);
    nowMs = 1_000;
    assert.equal(throttle.checksCredentials('192.0.2.1', 'operator'), true);
  });

  it("does not count a tenant's wrong keys as guesses of the operator's token", () => {
    const { throttle } = onClock(() => 0);
    for (let count = 0; count < 100; count += 1) throttle.onFailure('192.0.2.1', 'tenant');
    assert.equal(throttle.checksCredentials('192.0.2.1', 'operator'), true);
    assert.equal(throttle.checksCredentials('192.0.2.1', 'tenant'), false);
  });

  it('bounds the delayed failures of all addresses together', async () => {
    const { throttle, fail } = onClock(() => 0);
    const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
    const failures = addresses.flatMap((address) => fail(address, 5).slice(3));
    assert.equal(throttle.stats.waiting, limits.waiting);
    const replies = await Promise.all(failures.map((failure) => failure.mayReply));
    assert.equal(replies.filter(Boolean).length, limits.waiting);
    assert.equal(throttle.stats.waiting, 0);
  });
});

describe('networkOf()', () => {
  for (const [address, network] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ] as const) {
    it(`of ${address} is ${network}`, () => assert.equal(networkOf(address), network));
  }
});
