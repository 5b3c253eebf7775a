/** A tenant's life as the operator manages it: created, read, changed, erased. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { assertProblem, type Client, onboard, operatorOf } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';
import { forLateWrites, orphansIn, theTrail, tracesOf } from '../support/traces.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let kennel: Kennel;
let operator: Client;

before(async () => {
  database = await testDatabase();
  kennel = await startKennel(database.url, { ISOLATION: 'schema' });
  operator = operatorOf(kennel);
});

after(async () => {
  await kennel.stop();
  await database.drop();
});

describe('tenants', () => {
  it('are created with defaults for omitted fields', async () => {
    const { status, body, headers } = await operator('POST /api/admin/tenants', {
      slug: 'plain-pets',
      name: 'Plain Pets',
    });
    assert.equal(status, 201);
    const { id, created_at, updated_at, schema_version, ...tenant } = body.tenant;
    assert.deepEqual(tenant, {
      slug: 'plain-pets',
      name: 'Plain Pets',
      plan: 'free',
      status: 'active',
      isolation: 'schema',
      server: 'main',
    });
    assert.ok(id && created_at && updated_at && schema_version > 0);
    assert.equal(headers.location, '/api/admin/tenants/plain-pets');
    assert.equal(body.admin.email, 'admin@plain-pets.com');
    assert.deepEqual((await operator('GET /api/admin/tenants/plain-pets')).body, body.tenant);
  });

  it('are listed by slug, page by page, each once', async () => {
    for (const slug of ['page-a', 'page-b', 'page-c']) await onboard(kennel, slug);
    const slugs: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body } = await operator(`GET /api/admin/tenants?limit=2${cursor}`);
      slugs.push(...body.items.map(({ slug }: { slug: string }) => slug));
      cursor = body.next_cursor === null ? null : `&cursor=${body.next_cursor}`;
    }
    assert.deepEqual(slugs, [...new Set(slugs)].sort());
    for (const slug of ['page-a', 'page-b', 'page-c']) assert.ok(slugs.includes(slug));
  });

  it('are not created with wrong fields, which the reply names', async () => {
    const wrongSlugs = ['ab', 'a'.repeat(41), '1abc', 'abc-', '-abc', 'Abc', 'a_b', 'a b', 'ä-bc'];
    for (const slug of [...wrongSlugs, 'api', 'admin', 'www', 'metrics', 7, undefined]) {
      const answer = await operator('POST /api/admin/tenants', { slug, name: 'x' });
      assertProblem(answer, 422, 'invalid_input');
      assert.deepEqual(answer.body.errors[0].path, 'slug');
    }
    const order = {
      slug: 'order',
      name: '',
      plan: 'gold',
      isolation: 'none',
      admin_email: 'x',
      x: 1,
    };
    const answer = await operator('POST /api/admin/tenants', order);
    const paths = answer.body.errors.map(({ path }: { path: string }) => path).sort();
    assert.deepEqual(paths, ['admin_email', 'isolation', 'name', 'x']);
    const plan = await operator('POST /api/admin/tenants', {
      slug: 'order',
      name: 'x',
      plan: 'gold',
    });
    assertProblem(plan, 422, 'invalid_input');
    assert.equal(plan.body.errors[0].path, 'plan');
    assertProblem(await operator('GET /api/admin/tenants/order'), 404, 'not_found');
  });

  for (const isolation of isolationModes) {
    it(`are created once for ten concurrent requests for a slug: ${isolation}`, async () => {
      const order = { slug: `race-${isolation}`, name: 'Race', isolation };
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => operator('POST /api/admin/tenants', order)),
      );
      const [first, ...others] = answers.sort(
        (one, two) => Number(one.status) - Number(two.status),
      );
      assert.equal(first?.status, 201);
      for (const answer of others) assertProblem(answer, 409, 'slug_taken');
    });
  }

  it('are created once for repeated requests with one Idempotency-Key', async () => {
    const order = { slug: 'twice-told', name: 'Twice' };
    const key = { 'idempotency-key': 'order-4711' };
    const first = await operator('POST /api/admin/tenants', order, key);
    assert.equal(first.status, 201);
    await operator('PATCH /api/admin/tenants/twice-told', { name: 'Renamed' });
    const again = await operator('POST /api/admin/tenants', order, key);
    assert.deepEqual([again.status, again.text], [201, first.text]);
    for (const other of [
      { ...order, name: 'Other' },
      { ...order, slug: 'other-slug' },
    ]) {
      const answer = await operator('POST /api/admin/tenants', other, key);
      assertProblem(answer, 422, 'invalid_input');
    }
    assertProblem(await operator('POST /api/admin/tenants', order), 409, 'slug_taken');
  });

  it('are not created with an Idempotency-Key that is too long', async () => {
    const order = { slug: 'long-key', name: 'Long' };
    const key = { 'idempotency-key': 'k'.repeat(256) };
    assertProblem(await operator('POST /api/admin/tenants', order, key), 422, 'invalid_input');
  });

  it('are suspended and resumed', async () => {
    const { call } = await onboard(kennel, 'on-and-off');
    const path = '/api/admin/tenants/on-and-off';
    const suspended = await operator(`PATCH ${path}`, { status: 'suspended' });
    assert.deepEqual([suspended.status, suspended.body.status], [200, 'suspended']);
    assertProblem(await call('GET /api/me'), 404, 'not_found');
    assert.equal((await operator(`PATCH ${path}`, { status: 'active' })).status, 200);
    assert.equal((await call('GET /api/me')).status, 200);
    assertProblem(await operator(`PATCH ${path}`, { status: 'deleting' }), 422, 'invalid_input');
    assertProblem(await operator(`PATCH ${path}`, { slug: 'new-slug' }), 422, 'invalid_input');
    assertProblem(await operator('PATCH /api/admin/tenants/nobody', {}), 404, 'not_found');
  });

  for (const isolation of isolationModes) {
    it(`leave nothing but their audit trail after their deletion: ${isolation}`, async () => {
      const slug = `gone-${isolation}`;
      const { id, call } = await onboard(kennel, slug, { isolation });
      const pet = (await call('POST /api/pets', { name: 'Rex', species: 'dog' })).body;
      await call(`POST /api/pets/${pet.id}/visits`, { visited_on: '2024-05-01', reason: 'x' });
      await call('GET /api/usage');
      const before = await tracesOf(database.url, [id, slug]);
      assert.ok(before.includes('table control.tenants'), String(before));

      const deleted = await operator(`DELETE /api/admin/tenants/${slug}`);
      assert.deepEqual([deleted.status, deleted.text], [204, '']);
      assertProblem(await call('GET /api/me'), 401, 'unauthenticated');
      assertProblem(await operator(`DELETE /api/admin/tenants/${slug}`), 404, 'not_found');
      assertProblem(await operator(`GET /api/admin/tenants/${slug}`), 404, 'not_found');
      // Shared mode keeps the bare id for a while, to erase late writes once more.
      const left = (await tracesOf(database.url, [id, slug])).filter(
        (trace) => trace !== forLateWrites,
      );
      assert.deepEqual(left, theTrail);

      const successor = await onboard(kennel, slug, { isolation });
      assert.notEqual(successor.id, id);
      const { items } = (await successor.call('GET /api/pets')).body;
      assert.deepEqual([items.length, items[0].name], [1, 'Sample Pet']);
      assert.equal((await successor.call('GET /api/audit')).body.items.length, 1);
    });
  }

  it('answer their deletion with its receipt where the client prefers that', async () => {
    const { call } = await onboard(kennel, 'with-receipt', {});
    await call('POST /api/pets', { name: 'Rex', species: 'dog' });
    const prefer = { prefer: 'respond-async, Return=Representation' };
    const path = 'DELETE /api/admin/tenants/with-receipt';
    const { status, headers, body } = await operator(path, undefined, prefer);
    assert.deepEqual([status, headers['preference-applied']], [200, 'return=representation']);
    assert.equal(body.tables.pets, 2);
    const [last] = (await operator('GET /api/admin/audit?tenant=with-receipt')).body.items;
    assert.equal(last.event, 'tenant_deleted');
    const [{ hash } = { hash: '' }] = await lookInto(
      database.url,
      (sql) => sql<{ hash: string }[]>`
        select encode(hash, 'hex') as hash from control.audit_events where request_id = ${last.request_id}`,
    );
    assert.equal(body.trail_hash, hash);
    assertProblem(await operator(path, undefined, prefer), 404, 'not_found');
  });

  it('lose a row that a late request wrote after the deletion', async () => {
    const { id } = await onboard(kennel, 'late-writers', { isolation: 'shared' });
    await operator('DELETE /api/admin/tenants/late-writers');
    await lookInto(database.url, async (sql) => {
      await sql`
        insert into shared.pets (tenant_id, id, name, species) values (${id}, ${id}, 'Late', 'cat')`;
      await sql`update control.leftovers set due_at = now() where tenant_id = ${id}`;
    });
    assert.notDeepEqual(await orphansIn(database.url), []);
    const next = await startKennel(database.url);
    await until(async () => !(await tracesOf(database.url, [id])).includes(forLateWrites));
    assert.deepEqual(await orphansIn(database.url), []);
    await next.stop();
  });

  it('get a welcome email without a key', async () => {
    const { apiKey } = await onboard(kennel, 'email-pets', {
      admin_email: 'boss@emails.example',
    });
    const folder = join(kennel.dataFolder, 'mail');
    let email: string | undefined;
    await until(async () => {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.eml'));
      const emails = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
      email = emails.find((text) => text.includes('To: boss@emails.example'));
      return email !== undefined;
    });
    assert.match(String(email), /Subject: Welcome to Kennel/);
    assert.ok(!email?.includes(apiKey));
  });
});
