import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { json } from '../../src/http/reply.ts';
import { withDeadline } from '../../src/server/deadline.ts';

const reply = json(200, {});

const limit = { limitMs: 20, nowMs: () => performance.now() };

describe('withDeadline()', () => {
  it('returns the reply', async () => {
    assert.equal(
      await withDeadline(
        async () => {},
        limit,
        async () => reply,
      ),
      reply,
    );
  });

  it('rejects when work does not end', async () => {
    const answered = withDeadline(
      async () => {},
      limit,
      () => new Promise(() => {}),
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('rejects when work does not end after the body was read', async () => {
    const answered = withDeadline(
      async () => {},
      limit,
      async (body) => {
        await body();
        return new Promise(() => {});
      },
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('counts the time before the body', { timeout: 20_000 }, async () => {
    let nowMs = 0;
    const answered = withDeadline(
      async () => {},
      { limitMs: 60_000, nowMs: () => nowMs },
      async (body) => {
        nowMs = 60_000;
        await body();
        return new Promise(() => {});
      },
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('does not count the time of reading the body', async () => {
    const slow = () => new Promise((resolve) => setTimeout(resolve, 3 * limit.limitMs));
    const answered = withDeadline(slow, limit, async (body) => {
      await body();
      return reply;
    });
    assert.equal(await answered, reply);
  });
});
