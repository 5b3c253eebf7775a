import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KeyRefresher } from '../../../src/control_plane/keys/key_refresher.ts';
import { until } from '../../support/until.ts';

/** A watch whose checks end when the test tells them to. */
function watch(everyMs: number) {
  const looks: { end: () => void; fail: (error: Error) => void }[] = [];
  const errors: unknown[] = [];
  const refresh = () =>
    new Promise<void>((resolve, reject) => looks.push({ end: resolve, fail: reject }));
  const seals = new KeyRefresher(refresh, { everyMs, onError: (error) => errors.push(error) });
  return { seals, looks, errors };
}

describe('KeyRefresher', () => {
  it('refreshes once more after announcements that came during a refresh', async () => {
    const { seals, looks } = watch(60_000);
    for (let turn = 0; turn < 3; turn += 1) seals.refresh();
    assert.equal(looks.length, 1);
    looks[0]?.end();
    await until(() => looks.length === 2);
    looks[1]?.end();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(looks.length, 2);
    seals.close();
  });

  it('refreshes at its interval, also after a failure', async () => {
    const { seals, looks, errors } = watch(2);
    await until(() => looks.length === 1);
    looks[0]?.fail(new Error('away'));
    await until(() => looks.length === 2);
    assert.match(String(errors[0]), /away/);
    seals.close();
  });
});
