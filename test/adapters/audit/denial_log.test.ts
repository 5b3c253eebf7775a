import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { DenialLog } from '../../../src/adapters/audit/denial_log.ts';
import type { GatheredDenial } from '../../../src/adapters/audit/held_denials.ts';
import type { Denial } from '../../../src/kernel/audit_event.ts';
import { type TenantId, tenantId } from '../../../src/kernel/tenant.ts';

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

function attemptOf(requestedSlug: string, actor: `user:${string}`): Denial {
  return { ...denialOf(requestedSlug), event: 'cross_tenant_access_attempt', actor };
}

function guessOf(address: string): Denial {
  return { ...denialOf(''), event: 'credential_guessing', details: { address } };
}

function limitOf(id: TenantId): Denial {
  return {
    ...denialOf(''),
    event: 'rate_limit_exceeded',
    actor: 'kennel',
    tenantId: id,
    requestedSlug: null,
  };
}

const one = tenantId('00000000-0000-7000-8000-000000000001');
const other = tenantId('00000000-0000-7000-8000-000000000002');

describe('DenialLog', () => {
  let log: DenialLog;
  let written: GatheredDenial[] = [];
  let away = false;
  let nowMs = 0;
  let errors: unknown[] = [];
  let heldUp: TenantId | null = null;
  let refused: TenantId | null = null;
  let letGo = () => {};
  afterEach(async () => {
    away = false;
    refused = null;
    heldUp = null;
    await log.close();
    written = [];
    errors = [];
  });

  function open(held: number, anonymousRows = 1_000, heldPerTenant = held, singleRows = 0): void {
    nowMs = 0;
    log = new DenialLog({
      write: async (denials) => {
        if (away) throw new Error('The database is away');
        const [first] = denials;
        if (refused && first?.tenantId === refused) throw new Error('The denial is refused');
        if (heldUp && first?.tenantId === heldUp)
          await new Promise<void>((go) => {
            letGo = go;
          });
        written.push(...denials);
      },
      onError: (error) => errors.push(error),
      nowMs: () => nowMs,
      held,
      heldPerTenant,
      flushEveryMs: 60_000,
      gatherForMs: 1_000,
      singleRows,
      anonymousRows,
    });
  }

  const counts = () => written.map(({ requestedSlug, count }) => [requestedSlug, count]);

  it('writes equal denials as one row with a count', async () => {
    open(10);
    for (const slug of ['acme', 'acme', 'other', 'acme']) log.note(denialOf(slug));
    await log.flush();
    assert.deepEqual(counts(), [
      ['acme', 3],
      ['other', 1],
    ]);
  });

  it('writes the first denials of a tenant and event in an interval with their own request ids', async () => {
    open(10, 1_000, 10, 2);
    const noteFour = (from: number) => {
      for (let at = from; at < from + 4; at += 1) {
        for (const tenant of [one, other]) {
          const attempt = attemptOf('acme', 'user:u1');
          log.note({ ...attempt, tenantId: tenant, requestId: `${at}` });
        }
        log.note({ ...limitOf(one), requestId: `${at}` });
      }
    };
    const ids = (event: string, id: TenantId) =>
      written
        .filter((row) => row.event === event && row.tenantId === id)
        .map(({ requestId, count }) => `${requestId}: ${count}`);
    noteFour(1);
    await log.flush();
    for (const tenant of [one, other]) {
      assert.deepEqual(ids('cross_tenant_access_attempt', tenant), ['1: 1', '2: 1', '3: 2']);
    }
    assert.deepEqual(ids('rate_limit_exceeded', one), ['1: 4']);
    written = [];
    nowMs = 1_000;
    noteFour(5);
    await log.flush();
    assert.deepEqual(ids('cross_tenant_access_attempt', one), ['5: 1', '6: 1', '7: 2']);
  });

  it('collects denials with equal ones when there is no room for their own rows', async () => {
    open(2, 1_000, 2, 100);
    for (let at = 0; at < 9; at += 1) {
      log.note({ ...attemptOf('acme', 'user:u1'), tenantId: one, requestId: `${at}` });
    }
    await log.flush();
    assert.deepEqual(
      written.map(({ requestId, requestedSlug, count }) => [requestId, requestedSlug, count]),
      [
        ['0', 'acme', 1],
        ['1', 'acme', 1],
        ['2', null, 7],
      ],
    );
  });

  it('holds a bounded number of denials, and counts dropped ones', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(attemptOf('acme', `user:${count}`));
    assert.deepEqual(log.stats, { held: 4, dropped: 96 });
  });

  it('does not keep a slug that is longer than the limit', async () => {
    open(10);
    for (const letter of ['a', 'b']) log.note(denialOf(letter.repeat(8_000)));
    await log.flush();
    assert.deepEqual(counts(), [['?', 2]]);
  });

  it('sums up denials past its bound in one row without a slug', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(denialOf(`t-${count}`));
    await log.flush();
    assert.deepEqual(counts(), [
      ['t-0', 1],
      ['t-1', 1],
      [null, 98],
    ]);
  });

  it('bounds each event by itself, so that a flood of one hides no other', async () => {
    open(2);
    for (let count = 0; count < 100; count += 1) log.note(denialOf(`t-${count}`));
    log.note(attemptOf('acme', 'user:u1'));
    await log.flush();
    assert.ok(written.some(({ event }) => event === 'cross_tenant_access_attempt'));
  });

  describe('for one tenant', () => {
    const attempts = (slug: string, user: number, tenantId: TenantId | null) => ({
      ...attemptOf(slug, `user:${user}`),
      tenantId,
    });
    const named = (id: TenantId) =>
      written.filter(({ tenantId, requestedSlug }) => tenantId === id && requestedSlug !== null);

    /** A tenant names invented slugs, then another one names a single slug. */
    function flood(): void {
      for (let at = 0; at < 100; at += 1) log.note(attempts(`t-${at}`, 1, one));
      log.note(attempts('acme', 2, other));
    }

    it("holds a share, so that a tenant's flood takes no slug from another's denial", async () => {
      open(10, 1_000, 3);
      flood();
      await log.flush();
      assert.deepEqual(counts(), [
        ['t-0', 1],
        ['t-1', 1],
        ['t-2', 1],
        [null, 97],
        ['acme', 1],
      ]);
    });

    it("control: a flood takes the slug from another tenant's denial without the share", async () => {
      open(10);
      flood();
      await log.flush();
      assert.deepEqual(named(other), []);
    });

    it('holds a share of denials without a slug, too', () => {
      open(100, 1_000, 3);
      for (let user = 0; user < 100; user += 1) log.note(attempts('acme', user, one));
      assert.deepEqual(log.stats, { held: 6, dropped: 94 });
    });

    it('holds a share while the database is away', async () => {
      open(100, 1_000, 3);
      away = true;
      for (let batch = 0; batch < 10; batch += 1) {
        for (let at = 0; at < 10; at += 1) log.note(attempts(`${batch}-${at}`, 1, one));
        await log.flush();
      }
      assert.deepEqual(log.stats, { held: 4, dropped: 0 });
    });

    it('holds a new share when the denials have been written', async () => {
      open(10, 1_000, 3);
      for (const batch of ['a', 'b']) {
        for (let at = 0; at < 3; at += 1) log.note(attempts(`${batch}-${at}`, 1, one));
        await log.flush();
      }
      assert.equal(named(one).length, 6);
    });

    it('holds as many different denials of all tenants as without shares', () => {
      open(4, 1_000, 3);
      for (let at = 0; at < 3; at += 1) log.note(attempts(`t-${at}`, 1, one));
      for (let at = 0; at < 3; at += 1) log.note(attempts(`t-${at}`, 2, other));
      assert.deepEqual(log.stats, { held: 5, dropped: 0 });
    });
  });

  it('keeps its bound while the database is away, and reports each error', async () => {
    open(2);
    away = true;
    for (let batch = 0; batch < 10; batch += 1) {
      for (let count = 0; count < 10; count += 1) log.note(denialOf(`${batch}-${count}`));
      await log.flush();
    }
    assert.ok(log.stats.held <= 4);
    assert.equal(errors.length, 10);
  });

  it('frees the room of denials that were written', async () => {
    open(2);
    for (const slug of ['a1', 'a2']) log.note(denialOf(slug));
    await log.flush();
    for (const slug of ['b1', 'b2']) log.note(denialOf(slug));
    await log.flush();
    assert.deepEqual(log.stats, { held: 0, dropped: 0 });
    assert.equal(written.length, 4);
  });

  it('keeps denials that could not be written, and adds later ones to their count', async () => {
    open(10);
    away = true;
    log.note(denialOf('acme'));
    await log.flush();
    log.note(denialOf('acme'));
    away = false;
    await log.flush();
    assert.deepEqual(counts(), [['acme', 2]]);
  });

  describe('for anonymous denials', () => {
    const ceiling = 3;

    it('writes a limited number of rows in each interval, and one per event for the rest', async () => {
      open(1_000, ceiling);
      for (let second = 0; second < 10; second += 1) {
        for (let count = 0; count < 100; count += 1) {
          log.note(denialOf(`t-${second}-${count}`));
          log.note({ ...guessOf(`2001:db8::${count}`), requestedSlug: null });
        }
        nowMs += 99;
      }
      await log.flush();
      assert.equal(written.length, 2 * (ceiling + 1));
      assert.equal(
        written.reduce((sum, { count }) => sum + count, 0),
        2_000,
      );
      const rest = written.filter(
        ({ details, requestedSlug }) => requestedSlug === null && !details.address,
      );
      assert.deepEqual(rest.map(({ event }) => event).sort(), [
        'authentication_failed',
        'credential_guessing',
      ]);
    });

    it('starts a new count in the next interval', async () => {
      open(1_000, ceiling);
      for (let count = 0; count < 10; count += 1) log.note(denialOf(`a-${count}`));
      await log.flush();
      nowMs = 1_000;
      for (let count = 0; count < 10; count += 1) log.note(denialOf(`b-${count}`));
      await log.flush();
      assert.equal(written.length, 2 * (ceiling + 1));
    });

    it('does not count denials of authenticated users', async () => {
      open(1_000, ceiling);
      for (let count = 0; count < 10; count += 1) log.note(denialOf(`t-${count}`));
      for (let count = 0; count < 10; count += 1) log.note(attemptOf(`t-${count}`, 'user:u1'));
      await log.flush();
      const attempts = written.filter(({ event }) => event === 'cross_tenant_access_attempt');
      assert.equal(attempts.length, 10);
    });
  });

  describe('flushOf()', () => {
    it("writes the tenant's own rate limit denials and nothing else", async () => {
      open(10);
      for (const id of [one, other]) log.note(limitOf(id));
      log.note({ ...attemptOf('acme', 'user:u1'), tenantId: one });
      log.note(denialOf('acme'));
      await log.flushOf({ id: one });
      assert.deepEqual(written, [{ ...limitOf(one), count: 1, isSingle: false }]);
      assert.equal(log.stats.held, 3);
    });

    it('does not wait for another tenant whose chain is locked', async () => {
      open(10);
      heldUp = other;
      for (const id of [other, one]) log.note(limitOf(id));
      const all = log.flush();
      await log.flushOf({ id: one });
      assert.deepEqual(
        written.map(({ tenantId }) => tenantId),
        [one],
      );
      letGo();
      await all;
      assert.deepEqual(
        written.map(({ tenantId }) => tenantId),
        [one, other],
      );
    });
  });

  it("keeps a denial that the database refuses, and writes other tenants' denials", async () => {
    open(10);
    refused = other;
    for (const id of [other, one]) log.note(limitOf(id));
    await log.flush();
    assert.deepEqual(
      written.map(({ tenantId }) => tenantId),
      [one],
    );
    assert.equal(log.stats.held, 1);
  });

  it('writes the remaining denials when it is closed', async () => {
    open(10);
    log.note(denialOf('acme'));
    await log.close();
    assert.deepEqual(counts(), [['acme', 1]]);
  });
});
