import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { json } from '../../src/http/reply.ts';
import type { HttpRequest } from '../../src/http/request.ts';
import { withDeadline } from '../../src/server/deadline.ts';

const reply = json(200, {});

const limit = { limitMs: 20, nowMs: () => performance.now() };

describe('withDeadline()', () => {
  it('returns the reply', async () => {
    assert.equal(
      await withDeadline(
        requestOf(async () => {}),
        limit,
        async () => reply,
      ),
      reply,
    );
  });

  it('rejects when work does not end', async () => {
    const answered = withDeadline(
      requestOf(async () => {}),
      limit,
      () => new Promise(() => {}),
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('rejects when work does not end after the body was read', async () => {
    const answered = withDeadline(
      requestOf(async () => {}),
      limit,
      async ({ body }) => {
        await body();
        return new Promise(() => {});
      },
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('counts the time before the body', { timeout: 20_000 }, async () => {
    let nowMs = 0;
    const answered = withDeadline(
      requestOf(async () => {}),
      { limitMs: 60_000, nowMs: () => nowMs },
      async ({ body }) => {
        nowMs = 60_000;
        await body();
        return new Promise(() => {});
      },
    );
    await assert.rejects(answered, { code: 'unavailable' });
  });

  it('does not count the time of reading the body', async () => {
    const slow = requestOf(() => new Promise((resolve) => setTimeout(resolve, 3 * limit.limitMs)));
    const answered = withDeadline(slow, limit, async ({ body }) => {
      await body();
      return reply;
    });
    assert.equal(await answered, reply);
  });
});

function requestOf(body: () => Promise<unknown>): HttpRequest {
  return {
    method: 'POST',
    path: '/api/pets',
    query: '',
    authorization: null,
    idempotencyKey: null,
    preconditions: null,
    origin: null,
    preflight: false,
    address: '127.0.0.1',
    facts: { host: 'localhost', path: '/api/pets', tenantHeaders: [] },
    body,
  };
}
