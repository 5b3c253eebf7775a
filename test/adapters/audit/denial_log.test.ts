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
  afterEach(async () => {
    away = false;
    await log.close();
    written = [];
  });

  function open(held: number): void {
    nowMs = 0;
    log = new DenialLog({
      write: async (denials) => {
        if (away) throw new Error('The database is away');
        written.push(...denials);
      },
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
    assert.deepEqual(log.figures, { held: 2, dropped: 98 });
    await log.flush();
    assert.equal(written.length, 2);
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
