/** Requests of a tenant that are refused before any work is done, and the words of each refusal. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem } from '../../support/client.ts';
import type { JourneyContext } from './journey_context.ts';

export function edges(context: () => JourneyContext): void {
  it('names every wrong field', async () => {
    const { call } = context().tenant;
    const answer = await call('POST /api/pets', {
      name: 7,
      birth_date: '2023-02-29',
      colour: 'red',
    });
    assertProblem(answer, 422, 'invalid_input');
    const errors: { path: string; message: string }[] = answer.body.errors;
    assert.deepEqual(errors.map(({ path }) => path).sort(), [
      'birth_date',
      'colour',
      'name',
      'species',
    ]);
    for (const { message } of errors) assert.ok(message.length > 0);
  });

  it('refuses a body that is not JSON, of another type, or too large', async () => {
    const { call } = context().tenant;
    const line = 'POST /api/pets';
    assertProblem(await call(line, '{"name":'), 400, 'invalid_input');
    assertProblem(await call(line, '{"__proto__":{}}'), 400, 'invalid_input');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    assertProblem(await call(line, 'name=Rex', form), 415, 'unsupported_media_type');
    const name = 'x'.repeat(16 * 1024);
    assertProblem(await call(line, { name, species: 'dog' }), 413, 'payload_too_large');
  });

  it('answers 405 with the methods of the path', async () => {
    const { call } = context().tenant;
    const answer = await call('PUT /api/pets', {});
    assertProblem(answer, 405, 'method_not_allowed');
    assert.deepEqual(String(answer.headers.allow).split(', ').sort(), [
      'GET',
      'HEAD',
      'OPTIONS',
      'POST',
    ]);
  });

  it('refuses unknown, repeated and malformed query parameters', async () => {
    const { call } = context().tenant;
    const id = '01890000-0000-7000-8000-000000000000';
    for (const line of [
      ...['GET /api/me?x=1', 'GET /api/pets?Species=dog', 'GET /api/usage?limit=1&limit=1'],
      ...['POST /api/pets?x', `DELETE /api/pets/${id}?force=1`, 'GET /api/pets?species=%E0%A4%A'],
    ]) {
      const answer = await call(line, line.startsWith('POST') ? {} : undefined);
      assertProblem(answer, 422, 'invalid_input');
    }
  });

  it('answers 404 for an unknown path', async () => {
    const { call } = context().tenant;
    for (const path of ['/api', '/api/', '/api/pet', '/api/pets/', '/api/me/me']) {
      assertProblem(await call(`GET ${path}`), 404, 'not_found');
    }
  });

  it('answers HEAD as GET without the body', async () => {
    const { call } = context().tenant;
    const [head, get] = [await call('HEAD /api/config'), await call('GET /api/config')];
    assert.deepEqual([head.status, head.text], [200, '']);
    assert.equal(head.headers['content-length'], get.headers['content-length']);
  });
}
