/** ETags: a representation that a client already has is not sent again, and no update is lost. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { assertProblem } from '../../support/client.ts';
import type { JourneyContext } from './journey_context.ts';
import { newPet } from './pets.ts';

export function conditions(context: () => JourneyContext): void {
  it('answers 304 while a resource is unchanged', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call);
    for (const line of [`GET /api/pets/${id}`, 'GET /api/me', 'GET /api/config']) {
      const { headers } = await call(line);
      const etag = String(headers.etag);
      assert.match(etag, /^"[\x21\x23-\x7e]+"$/);
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await call(line, undefined, { 'if-none-match': known });
        assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', etag]);
        assert.ok(again.headers['x-request-id']);
      }
      const head = await call(line.replace('GET', 'HEAD'), undefined, { 'if-none-match': etag });
      assert.equal(head.status, 304);
      const other = await call(line, undefined, { 'if-none-match': '"other"' });
      assert.deepEqual([other.status, other.headers.etag], [200, etag]);
    }
  });

  it('returns the new ETag of a changed pet with the change', async () => {
    const { call } = context().tenant;
    const created = await call('POST /api/pets', { name: 'Rex', species: 'dog' });
    const line = `/api/pets/${created.body.id}`;
    assert.equal((await call(`GET ${line}`)).headers.etag, created.headers.etag);
    const changed = await call(`PATCH ${line}`, { name: 'Max' });
    assert.notEqual(changed.headers.etag, created.headers.etag);
    assert.equal((await call(`GET ${line}`)).headers.etag, changed.headers.etag);
  });

  it('changes a pet only if If-Match fits', async () => {
    const { call } = context().tenant;
    const { body: pet, headers } = await call('POST /api/pets', { name: 'Rex', species: 'dog' });
    const line = `/api/pets/${pet.id}`;
    const etag = String(headers.etag);
    const stale = ['"bogus"', `W/${etag}`, '', '"a", "b"'].map((value) => ({ 'if-match': value }));
    for (const headers of [
      ...stale,
      ...['*', etag, `W/${etag}`].map((value) => ({ 'if-none-match': value })),
    ]) {
      const patched = await call(`PATCH ${line}`, { name: 'Lost' }, headers);
      assertProblem(patched, 412, 'precondition_failed');
      assertProblem(await call(`DELETE ${line}`, undefined, headers), 412, 'precondition_failed');
    }
    assert.deepEqual((await call(`GET ${line}`)).body, pet);
    const first = await call(`PATCH ${line}`, { name: 'Max' }, { 'if-match': `"x", ${etag}` });
    assert.equal(first.status, 200);
    const second = await call(`PATCH ${line}`, { name: 'Lost' }, { 'if-match': etag });
    assertProblem(second, 412, 'precondition_failed');
    assert.equal((await call(`PATCH ${line}`, { name: 'Tom' }, { 'if-match': '*' })).status, 200);
    const newest = String((await call(`GET ${line}`)).headers.etag);
    assert.equal((await call(`DELETE ${line}`, undefined, { 'if-match': newest })).status, 204);
    assertProblem(await call(`PATCH ${line}`, {}, { 'if-match': '*' }), 404, 'not_found');
  });

  it('applies one of many concurrent changes with the same ETag', async () => {
    const { call } = context().tenant;
    const { body, headers } = await call('POST /api/pets', { name: 'Rex', species: 'dog' });
    const match = { 'if-match': String(headers.etag) };
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const patch = (name: string) => call(`PATCH /api/pets/${body.id}`, { name }, match);
    const answers = await Promise.all(names.map(patch));
    const [winner, ...others] = answers.filter(({ status }) => status === 200);
    assert.ok(winner);
    assert.deepEqual(others, []);
    for (const answer of answers) {
      if (answer !== winner) assertProblem(answer, 412, 'precondition_failed');
    }
    assert.deepEqual((await call(`GET /api/pets/${body.id}`)).body, winner.body);
  });

  it('applies every concurrent change whose precondition stays true', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call);
    for (const match of [{ 'if-match': '*' }, { 'if-none-match': '"other"' }]) {
      const names = Array.from({ length: 8 }, (_, at) => `Name ${at}`);
      const patch = (name: string) => call(`PATCH /api/pets/${id}`, { name }, match);
      for (const { status } of await Promise.all(names.map(patch))) assert.equal(status, 200);
    }
  });

  it('control: applies every concurrent change without an ETag', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call);
    const patch = (name: string) => call(`PATCH /api/pets/${id}`, { name });
    for (const { status } of await Promise.all(['a', 'b', 'c'].map(patch))) {
      assert.equal(status, 200);
    }
  });

  it('changes a setting only if If-Match fits all settings', async () => {
    const { call } = context().tenant;
    const line = 'PUT /api/config/default_page_size';
    const before = await call('GET /api/config');
    const match = { 'if-match': String(before.headers.etag) };
    const bogus = { 'if-match': '"bogus"' };
    assertProblem(await call(line, { value: 7 }, bogus), 412, 'precondition_failed');
    const reset = line.replace('PUT', 'DELETE');
    assertProblem(await call(reset, undefined, bogus), 412, 'precondition_failed');
    assert.deepEqual((await call('GET /api/config')).body, before.body);
    const answers = await Promise.all([5, 6, 7, 8].map((value) => call(line, { value }, match)));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 412, 412, 412]);
    assert.equal((await call(reset, undefined, { 'if-match': '*' })).status, 204);
  });

  it('refuses If-Match for resources without an ETag', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call);
    const email = `${randomUUID()}@conditions.example`;
    for (const [line, body] of [
      ['POST /api/pets', { name: 'Rex', species: 'dog' }],
      [`POST /api/pets/${id}/visits`, { visited_on: '2024-02-29', reason: 'Cough' }],
      ['POST /api/users', { email, role: 'member' }],
      [`DELETE /api/keys/${id}`, undefined],
    ] as const) {
      const answer = await call(line, body, { 'if-match': '"bogus"' });
      assert.ok([412, 422].includes(Number(answer.status)), `${line}: ${answer.status}`);
    }
  });
}
