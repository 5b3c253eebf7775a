/** Explained requests of a running server, and the bounds of what it keeps. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { Explanations } from '../../src/explain/explanations.ts';
import { Recorder } from '../../src/explain/recorder.ts';
import { newRecord } from '../../src/http/exchange.ts';
import type { RequestRecord } from '../../src/kernel/ports.ts';
import type { Tenant } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { createLog } from '../../src/observability/log.ts';
import { sentMessages } from '../../src/postgres/protocol/sent_messages.ts';
import { ServerProcess } from '../../src/server_process.ts';
import { assertProblem, type Onboarded, onboard, operatorOf, send } from '../support/client.ts';
import { adminToken } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { tenantOn } from '../support/tenant.ts';

const explain = { 'kennel-explain': '1' };

const sink = { writableLength: 0, write: () => {} };
const log = createLog({ ...limits.log, level: 'error', sink, nowMs: Date.now });

describe('an explained request', () => {
  let database: TestDatabase;
  let dataFolder: string;
  let server: ServerProcess;
  let url: string;
  let tenant: Onboarded;
  let other: Onboarded;

  before(async () => {
    database = await testDatabase();
    dataFolder = await mkdtemp(join(tmpdir(), 'kennel-data-'));
    const environment = { DATABASE_URL: database.url, ADMIN_TOKEN: adminToken, PORT: '0' };
    const config = readConfig({ ...environment, DATA_DIR: dataFolder });
    server = new ServerProcess(config, log, (listening) => {
      url = listening;
    });
    await server.start();
    tenant = await onboard({ url }, 'explained');
    other = await onboard({ url }, 'untold', { name: 'secret-of-the-other' });
    await other.call('POST /api/pets', { name: 'secret-of-the-other', species: 'cat' });
  });

  after(async () => {
    await server.stop({ delayMs: 0, idleMs: 0 });
    await database.drop();
    await rm(dataFolder, { recursive: true });
  });

  const find = (id: unknown) => operatorOf({ url })(`GET /api/admin/explain/${id}`);

  /** Sends a request of the tenant, and returns its explanation as text. */
  async function explanationOf(line: string, body?: unknown, headers = {}): Promise<string> {
    const { headers: answered } = await tenant.call(line, body, { ...explain, ...headers });
    const { status, text } = await find(answered['x-request-id']);
    assert.equal(status, 200, text);
    return text;
  }

  it('is read by the operator, by the id of the reply', async () => {
    const {
      status,
      endpoint,
      tenant: of,
      stages,
      total_ms,
    } = JSON.parse(await explanationOf('GET /api/pets?limit=1'));
    assert.deepEqual([status, endpoint], [200, '/api/pets']);
    assert.deepEqual(of, { slug: 'explained', isolation: 'shared' });
    const sum = stages.reduce((total: number, { ms }: { ms: number }) => total + ms, 0);
    assert.ok(Math.abs(sum - total_ms) <= 0.05 * total_ms);
  });

  it('has no plan: its statements run once', async () => {
    assert.match(await explanationOf('GET /api/pets'), /"plan":null/);
  });

  it('names the stage that has refused it', async () => {
    const { headers } = await send(url, 'GET /api/pets', undefined, {
      ...explain,
      'x-tenant-id': 'untold',
      authorization: `Bearer ${tenant.apiKey}`,
    });
    const { body } = await find(headers['x-request-id']);
    const refusing = body.stages.filter(({ refused }: { refused: unknown }) => refused !== null);
    assert.deepEqual(
      refusing.map(({ stage, refused }: { stage: string; refused: string }) => [stage, refused]),
      [['authorize', 'not_found']],
    );
    assert.equal(body.tenant, null);
  });

  it('is 404 without the header, with another value, and for an unknown id', async () => {
    for (const headers of [{}, { 'kennel-explain': '0' }, { 'kennel-explain': ['1', '1'] }]) {
      const { headers: answered } = await tenant.call('GET /api/pets', undefined, headers);
      assertProblem(await find(answered['x-request-id']), 404, 'not_found');
    }
    assertProblem(await find('none'), 404, 'not_found');
  });

  it('is not read with the key of its tenant', async () => {
    const { headers } = await tenant.call('GET /api/pets', undefined, explain);
    const line = `GET /api/admin/explain/${headers['x-request-id']}`;
    const answer = await send(url, line, undefined, { authorization: `Bearer ${tenant.apiKey}` });
    assertProblem(answer, 401, 'unauthenticated');
  });

  /** Requests that send each kind of secret to Postgres, or bring it. */
  async function explanationsWithSecrets(): Promise<string> {
    const key = { 'idempotency-key': 'secret-idempotency-key' };
    const { body: me } = await tenant.call('GET /api/me');
    return [
      await explanationOf('GET /api/pets'),
      await explanationOf('POST /api/pets', { name: 'Rex', species: 'dog' }, key),
      await explanationOf(`POST /api/users/${me.user.id}/keys`),
      await explanationOf(`GET /api/pets`, undefined, { 'x-tenant-id': adminToken }),
      await explanationOf(`GET /api/${tenant.apiKey}`),
    ].join('\n');
  }

  it('holds no seal, key, token or text of another tenant', async () => {
    const text = await explanationsWithSecrets();
    assert.match(text, /kennel\.tenant/);
    assert.match(text, /secret_sha256/);
    const [, secret = ''] = /kn_[0-9a-f]{32}_([0-9a-f]{64})/.exec(tenant.apiKey) ?? [];
    for (const hidden of [secret, adminToken, 'secret-idempotency-key', 'secret-of-the-other']) {
      assert.ok(hidden !== '' && !text.includes(hidden), hidden);
    }
    assert.doesNotMatch(text, /[0-9a-f]{40}/i);
  });

  it('control: the messages that it shows did hold the seal and the digest', async ({ mock }) => {
    const raw: string[] = [];
    const { call } = Recorder.prototype;
    mock.method(Recorder.prototype, 'call', function (this: Recorder) {
      const trace = call.apply(this);
      const sent: typeof trace.sent = (bytes, text) => {
        raw.push(JSON.stringify(sentMessages(bytes)));
        trace.sent(bytes, text);
      };
      return { ...trace, sent };
    });
    await explanationsWithSecrets();
    assert.match(raw.join(), /[0-9a-f-]{36}\.\d+\.[0-9a-f]{64}/);
    assert.match(raw.join(), /\\\\x[0-9a-f]{64}/);
  });
});

describe('Explanations', () => {
  const bounds = { ...limits.explain, keptMs: 60_000, kept: 5, keptOfOne: 2 };
  const plan = { name: 'free', requestsPerHour: 100, burst: 100 };
  const tenants: Record<string, Tenant> = Object.fromEntries(
    [...'abcdexy'].map((name) => [name, tenantOn({ ...plan, name })]),
  );
  let nowMs = 0;
  let explanations: Explanations;

  before(() => {
    explanations = new Explanations({ limits: bounds, plans: false, nowMs: () => nowMs });
  });

  /** Explains a request of a tenant. */
  function keep(id: string, tenant: string): void {
    const record = { ...newRecord(id), tenant: tenants[tenant] ?? null };
    explanations.begin(record, ['Kennel-Explain', '1'], nowMs);
    record.trace?.stage('authorize');
    explanations.end({ method: 'GET', record, status: 200, durationMs: 1 });
  }

  const authorized = (id: string) =>
    explanations.find(id)?.stages.find(({ stage }) => stage === 'authorize');

  const known = (...ids: string[]) => ids.filter((id) => explanations.find(id) !== null);

  it('keeps the newest of each tenant, so that none uses up the room of the others', () => {
    for (const id of ['b1', 'b2']) keep(id, 'b');
    for (const id of ['a1', 'a2', 'a3', 'a4']) keep(id, 'a');
    assert.deepEqual(known('a1', 'a2', 'a3', 'a4', 'b1', 'b2'), ['a3', 'a4', 'b1', 'b2']);
  });

  it('keeps no more than its bound of all tenants', () => {
    for (const id of ['c', 'd', 'e']) keep(`${id}1`, id);
    assert.deepEqual(known('b1', 'b2', 'a3', 'a4', 'c1', 'd1', 'e1'), [
      'a3',
      'a4',
      'c1',
      'd1',
      'e1',
    ]);
  });

  it('keeps the first of two requests with the same id, which are of different tenants', () => {
    keep('same', 'x');
    keep('same', 'y');
    assert.equal(authorized('same')?.decided.plan, 'x');
  });

  it('forgets each after a minute', () => {
    nowMs += 60_001;
    assert.deepEqual(known('a4', 'c1', 'd1', 'e1', 'same'), []);
  });

  it('explains nothing after the end of the request', () => {
    const record: RequestRecord = newRecord('late');
    explanations.begin(record, ['kennel-explain', '1'], nowMs);
    record.trace?.stage('dispatch');
    explanations.end({ method: 'GET', record, status: 503, durationMs: 1 });
    record.trace?.stage('execute');
    record.trace?.note({ late: true });
    record.trace?.call().sent(new Uint8Array(), null);
    assert.deepEqual(
      explanations.find('late')?.stages.map(({ stage }) => stage),
      ['http', 'dispatch'],
    );
  });
});
