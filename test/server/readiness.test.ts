import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Readiness } from '../../src/server/readiness.ts';

type Question = { resolve: () => void; reject: (error: Error) => void };

/** A database that answers when the test tells it to. */
function asked(limitMs = 60_000) {
  const questions: Question[] = [];
  const clock = { nowMs: 0 };
  const readiness = new Readiness({
    ask: () => new Promise<void>((resolve, reject) => questions.push({ resolve, reject })),
    freshMs: 250,
    limitMs,
    nowMs: () => clock.nowMs,
  });
  return { readiness, questions, clock };
}

describe('Readiness', () => {
  it('asks the database once for concurrent calls and for calls soon after', async () => {
    const { readiness, questions, clock } = asked();
    const crowd = Array.from({ length: 100 }, () => readiness.isReady());
    questions[0]?.resolve();
    assert.deepEqual(new Set(await Promise.all(crowd)), new Set([true]));
    clock.nowMs = 249;
    assert.equal(await readiness.isReady(), true);
    assert.equal(questions.length, 1);
  });
  it('asks the database again when its reply is old', async () => {
    const { readiness, questions, clock } = asked();
    const first = readiness.isReady();
    questions[0]?.resolve();
    await first;
    clock.nowMs = 250;
    const second = readiness.isReady();
    questions[1]?.reject(new Error('gone'));
    assert.equal(await second, false);
    assert.equal(questions.length, 2);
  });
  it('shares a pending query, and counts the age of a reply from its arrival', async () => {
    const { readiness, questions, clock } = asked();
    const first = readiness.isReady();
    clock.nowMs = 900;
    const second = readiness.isReady();
    questions[0]?.resolve();
    assert.deepEqual(await Promise.all([first, second]), [true, true]);
    assert.equal(questions.length, 1);
  });
  it('is false when the database does not reply in time', async () => {
    const { readiness } = asked(1);
    // The timer of the limit keeps no process running.
    const running = setInterval(() => {}, 1_000);
    const isReady = await readiness.isReady().finally(() => clearInterval(running));
    assert.equal(isReady, false);
  });
  it('asks no second question while the first one has no reply, however late', async () => {
    const { readiness, questions, clock } = asked(1);
    const running = setInterval(() => {}, 1_000);
    await readiness.isReady().finally(() => clearInterval(running));
    clock.nowMs = 10_000;
    assert.equal(await readiness.isReady(), false);
    assert.equal(questions.length, 1);
    questions[0]?.resolve();
    await new Promise(setImmediate);
    clock.nowMs = 10_250;
    const next = readiness.isReady();
    questions[1]?.resolve();
    assert.equal(await next, true);
  });
});
