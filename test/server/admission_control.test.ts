import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newRecord } from '../../src/http/exchange.ts';
import type { ReadBody } from '../../src/http/request.ts';
import { Admission } from '../../src/server/admission_control.ts';

const limits = { requests: 1, bodies: 2, bodiesPerTenant: 1 };
const done = { status: 200, body: null };

const empty = async () => {};

/** A promise to wait for, and a function that resolves it. */
function held(): { promise: Promise<void>; end: () => void } {
  let end = () => {};
  const promise = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { promise, end };
}

describe('Admission', () => {
  it('refuses requests past the bound at once, and admits again when one is done', async () => {
    const admission = new Admission(limits);
    const { promise, end } = held();
    const admit = (work: () => Promise<typeof done>) =>
      admission.admit(empty, newRecord('r'), work);
    const first = admit(() => promise.then(() => done));
    await assert.rejects(
      admit(async () => assert.fail('it was admitted')),
      { code: 'unavailable' },
    );
    assert.deepEqual(admission.stats, { running: 1, receiving: 0, shed: 1 });
    end();
    await first;
    assert.equal(await admit(async () => done), done);
  });

  it('frees the slot of a request that failed', async () => {
    const admission = new Admission(limits);
    const broken = () => Promise.reject(new Error('broken'));
    await assert.rejects(admission.admit(empty, newRecord('r'), broken), /broken/);
    assert.deepEqual(admission.stats, { running: 0, receiving: 0, shed: 0 });
  });

  it('does not count a request as running while its body arrives', async () => {
    const admission = new Admission(limits);
    const { promise, end } = held();
    const reading = async (body: ReadBody) => body().then(() => done);
    const slow = admission.admit(() => promise, newRecord('r'), reading);
    assert.deepEqual(admission.stats, { running: 0, receiving: 1, shed: 0 });
    assert.equal(await admission.admit(empty, newRecord('r'), async () => done), done);
    const second = admission.admit(empty, newRecord('r'), reading);
    await assert.rejects(second, { code: 'unavailable' });
    end();
    await slow;
    assert.deepEqual(admission.stats, { running: 0, receiving: 0, shed: 1 });
  });

  it('refuses a request whose body has arrived when others run at the bound', async () => {
    const admission = new Admission(limits);
    const [body, other] = [held(), held()];
    const slow = admission.admit(
      () => body.promise,
      newRecord('r'),
      async (read) => read().then(() => assert.fail('it was admitted')),
    );
    const running = admission.admit(empty, newRecord('r'), () => other.promise.then(() => done));
    body.end();
    await assert.rejects(slow, { code: 'unavailable' });
    assert.deepEqual(admission.stats, { running: 1, receiving: 0, shed: 1 });
    other.end();
    assert.equal(await running, done);
    assert.deepEqual(admission.stats, { running: 0, receiving: 0, shed: 1 });
  });
});
