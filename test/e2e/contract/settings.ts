/**
 * Typed settings: their defaults, a change that is effective at once, and the reset to the default.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem } from '../../support/client.ts';
import type { JourneyContext } from './journey_context.ts';
import { newPet } from './pets.ts';

const defaults = { include_deleted_pets: false, default_page_size: 20, welcome_message: '' };

export function settings(context: () => JourneyContext): void {
  it('starts with the default settings', async () => {
    const { status, body } = await context().tenant.call('GET /api/config');
    assert.deepEqual([status, body], [200, defaults]);
  });

  it("shows the tenant's own welcome message", async () => {
    const { call } = context().tenant;
    const greeting = async () => (await call('GET /api/me')).body.welcome_message;
    assert.equal(await greeting(), '');
    await call('PUT /api/config/welcome_message', { value: 'Wuff' });
    assert.equal(await greeting(), 'Wuff');
    await call('DELETE /api/config/welcome_message');
    assert.equal(await greeting(), '');
  });

  it('changes a setting and resets it to its default', async () => {
    const { call } = context().tenant;
    await newPet(call);
    const changed = await call('PUT /api/config/default_page_size', { value: 1 });
    assert.equal(changed.status, 200);
    assert.equal((await call('GET /api/config')).body.default_page_size, 1);
    const short = await call('GET /api/pets');
    assert.equal(short.body.items.length, 1);
    assert.equal(typeof short.body.next_cursor, 'string');

    const reset = await call('DELETE /api/config/default_page_size');
    assert.deepEqual([reset.status, reset.text], [204, '']);
    assert.deepEqual((await call('GET /api/config')).body, defaults);
  });

  it('answers 404 for an unknown setting', async () => {
    const { call } = context().tenant;
    for (const key of ['colour', 'toString', '__proto__']) {
      assertProblem(await call(`PUT /api/config/${key}`, { value: 1 }), 404, 'not_found');
      assertProblem(await call(`DELETE /api/config/${key}`), 404, 'not_found');
    }
  });

  it('refuses a setting of the wrong type', async () => {
    const { call } = context().tenant;
    const wrong = {
      include_deleted_pets: ['true', 1, null],
      default_page_size: [0, 101, 1.5, '20'],
      welcome_message: [true, 'x'.repeat(501)],
    };
    for (const [key, values] of Object.entries(wrong)) {
      for (const value of values) {
        const answer = await call(`PUT /api/config/${key}`, { value });
        assertProblem(answer, 422, 'invalid_input');
        assert.equal(answer.body.errors[0].path, 'value');
      }
    }
    assert.deepEqual((await call('GET /api/config')).body, defaults);
  });

  it('names a wrong or missing value as well as an unknown field', async () => {
    const { call } = context().tenant;
    for (const body of [{ colour: 'red' }, { value: 7, colour: 'red' }]) {
      const answer = await call('PUT /api/config/welcome_message', body);
      assertProblem(answer, 422, 'invalid_input');
      const paths = answer.body.errors.map(({ path }: { path: string }) => path);
      assert.deepEqual(paths.sort(), ['colour', 'value']);
    }
  });
}
