import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Admission } from '../src/admission.ts';

describe('Admission', () => {
  it('refuses at once what is too much, and admits again when somebody is done', async () => {
    const admission = new Admission(1);
    let finish = () => {};
    const first = admission.admit(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    await assert.rejects(
      admission.admit(async () => assert.fail('it was admitted')),
      { code: 'unavailable' },
    );
    assert.deepEqual(admission.figures, { running: 1, shed: 1 });
    finish();
    await first;
    assert.equal(await admission.admit(async () => 'done'), 'done');
  });

  it('counts what fails as done', async () => {
    const admission = new Admission(1);
    await assert.rejects(
      admission.admit(() => Promise.reject(new Error('broken'))),
      /broken/,
    );
    assert.deepEqual(admission.figures, { running: 0, shed: 0 });
  });
});
