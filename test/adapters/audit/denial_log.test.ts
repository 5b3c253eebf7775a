import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { DenialLog, type GatheredDenial } from '../../../src/adapters/audit/denial_log.ts';
import type { Denial } from '../../../src/kernel/audit_event.ts';

function denialOf(requestedSlug: string): Denial {
  return {
    event: 'authentication_failed',
    actor: 'anonymous',
    tenantId: null,
    requestedSlug,
    requestId: 'r-1',
    details: {},
  };
}

describe('DenialLog', () => {
  let log: DenialLog;
  let written: GatheredDenial[] = [];
  let away = false;
  let nowMs = 0;
  let errors: unknown[] = [];
  afterEach(async () => {
    away = false;
    await log.close();
    written = [];
    errors = [];
  });

  function open(held: number): void {
    nowMs = 0;
    log = new DenialLog({
      write: async (denials) => {
        if (away) throw new Error('The database is away');
        written.push(...denials);
      },
      onError: (error) => errors.push(error),
      nowMs: () => nowMs,
      held,
      flushEveryMs: 60_000,
      gatherForMs: 1_000,
    });
  }

  const counts = () => written.map(({ requestedSlug, count }) => [requestedSlug, count]);

  it('makes one row with a count of equal denials', async () => {
    open(10);
    for (const slug of ['acme', 'acme', 'other', 'acme']) log.note(denialOf(slug));
    await log.flush();
    assert.deepEqual(counts(), [
      ['acme', 3],
      ['other', 1],
    ]);
  });

  it('holds no more than its bound, and counts what it drops', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(denialOf(`t-${count}`));
    assert.deepEqual(log.figures, { held: 3, dropped: 0 });
    for (let count = 0; count < 100; count += 1) {
      log.note({ ...denialOf('t'), details: { endpoint: `/${count}` } });
    }
    assert.deepEqual(log.figures, { held: 4, dropped: 99 });
  });

  it('makes one denial that names nobody of what is past its bound', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(denialOf(`t-${count}`));
    await log.flush();
    assert.deepEqual(counts(), [
      ['t-0', 1],
      ['t-1', 1],
      [null, 98],
    ]);
  });

  it('gives each event room of its own, so that a flood of one hides no other', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(denialOf(`t-${count}`));
    log.note({ ...denialOf('acme'), event: 'cross_tenant_access_attempt', actor: 'user:u1' });
    await log.flush();
    assert.ok(written.some(({ event }) => event === 'cross_tenant_access_attempt'));
  });

  it('keeps its bound while nothing can be written, and tells of it', async () => {
    open(2);
    away = true;
    for (let batch = 0; batch < 10; batch += 1) {
      for (let count = 0; count < 10; count += 1) log.note(denialOf(`${batch}-${count}`));
      await log.flush();
    }
    assert.ok(log.figures.held <= 4);
    assert.equal(errors.length, 10);
  });

  it('has room for others once one-off denials were written', async () => {
    open(2);
    for (const slug of ['a1', 'a2']) log.note(denialOf(slug));
    await log.flush();
    for (const slug of ['b1', 'b2']) log.note(denialOf(slug));
    await log.flush();
    assert.deepEqual(log.figures, { held: 0, dropped: 0 });
    assert.equal(written.length, 4);
  });

  it('keeps what could not be written, and adds to it', async () => {
    open(10);
    away = true;
    log.note(denialOf('acme'));
    await log.flush();
    log.note(denialOf('acme'));
    away = false;
    await log.flush();
    assert.deepEqual(counts(), [['acme', 2]]);
  });

  it('writes what is left when it is closed', async () => {
    open(10);
    log.note(denialOf('acme'));
    await log.close();
    assert.deepEqual(counts(), [['acme', 1]]);
  });
});
