/** A move by the operator's API, while clients of the tenant go on. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  assertProblem,
  type Client,
  type Onboarded,
  onboard,
  operatorOf,
} from '../support/client.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const path = '/api/admin/tenants/mover/move';

/** Far longer than a move takes. */
const patienceMs = 60_000;

describe('the move of a tenant', () => {
  let database: TestDatabase;
  let lab: Lab;
  let operator: Client;
  let tenant: Onboarded;
  before(async () => {
    database = await testDatabase();
    // A busy machine may take its time.
    lab = await openLab(database.url, { answerMs: 60_000 });
    operator = operatorOf(lab);
    tenant = await onboard(lab, 'mover', { isolation: 'shared' });
  });
  after(async () => {
    await lab.close();
    await database.drop();
  });

  async function moveTo(to: string): Promise<void> {
    const begun = await operator(`POST ${path}`, { to });
    assert.equal(begun.status, 202, begun.text);
    assert.equal(begun.headers.location, path);
    assert.deepEqual([begun.body.to, begun.body.state], [to, 'copying']);
    await until(async () => (await operator(`GET ${path}`)).body.state === 'done', patienceMs);
  }

  it('is 404 before the first one, and for an unknown tenant', async () => {
    assertProblem(await operator(`GET ${path}`), 404, 'not_found');
    const unknown = await operator('POST /api/admin/tenants/nobody/move', { to: 'schema' });
    assertProblem(unknown, 404, 'not_found');
    assertProblem(await operator(`POST ${path}`, { to: 'moon' }), 422, 'invalid_input');
  });

  it('shows its facts, and is refused where the tenant is already', async () => {
    await moveTo('schema');
    const { body } = await operator(`GET ${path}`);
    const { pause_ms: pauseMs, started_at: startedAt, ended_at: endedAt, ...rest } = body;
    assert.deepEqual(rest, {
      ...{ kind: 'move', from: 'shared', to: 'schema', server: null },
      ...{ state: 'done', rows: 1, error: null },
    });
    assert.ok(pauseMs > 0);
    const { headers } = await operator(`GET ${path}`);
    const known = { 'if-none-match': String(headers.etag) };
    assert.equal((await operator(`GET ${path}`, undefined, known)).status, 304);
    assert.ok(Date.parse(startedAt) < Date.parse(endedAt));
    assertProblem(await operator(`POST ${path}`, { to: 'schema' }), 409, 'conflict');
    assert.equal((await tenant.call('GET /api/me')).body.tenant.isolation, 'schema');
    const { body: trail } = await tenant.call('GET /api/audit');
    const [event] = trail.items.filter(({ event }: { event: string }) => event === 'tenant_moved');
    assert.deepEqual([event.actor, event.from, event.to], ['operator', 'shared', 'schema']);
  });

  it('keeps a conditional change of a pet whose version was read before the switch', async () => {
    const created = await tenant.call('POST /api/pets', { name: 'Rex', species: 'dog' });
    const line = `/api/pets/${created.body.id}`;
    const { headers } = await tenant.call(`GET ${line}`);
    await moveTo('database');
    const condition = { 'if-match': String(headers.etag) };
    const patched = await tenant.call(`PATCH ${line}`, { name: 'Max' }, condition);
    assert.deepEqual([patched.status, patched.body.name], [200, 'Max']);
  });

  it('fails no request of its clients', async () => {
    const statuses = new Set<number | undefined>();
    const made: string[] = [];
    let moving = true;
    const client = async () => {
      while (moving) {
        const added = await tenant.call('POST /api/pets', { name: 'New', species: 'cat' });
        const read = await tenant.call(`GET /api/pets/${added.body.id}`);
        for (const { status } of [added, read]) statuses.add(status);
        made.push(added.body.id);
      }
    };
    const clients = [client(), client()];
    await moveTo('shared').finally(() => {
      moving = false;
    });
    await Promise.all(clients);
    assert.deepEqual([...statuses].sort(), [200, 201]);
    for (const id of made) assert.equal((await tenant.call(`GET /api/pets/${id}`)).status, 200);
  });
});
