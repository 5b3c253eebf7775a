import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Children } from '../../bench/children.ts';
import { Load } from '../../bench/load/load.ts';
import { seedPets } from '../../bench/pets.ts';
import type { LoadTenant } from '../../bench/provision.ts';
import { type Case, runGroup } from '../../bench/rounds.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import { seededRandom } from '../support/random.ts';

const tenant: LoadTenant = {
  mode: 'shared',
  server: 'main',
  id: tenantId('00000000-0000-7000-8000-000000000001'),
  slug: 'tiny',
  apiKey: 'key',
  pets: seedPets('tiny'),
};

type Answer = (path: string) => { status: number; body: unknown };

const rest = {
  deleted: false,
  microchip_id: null,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
};

const rightly: Answer = (path) => {
  const { id, name, species, breed, birth_date } = tenant.pets.find(({ id }) =>
    path.endsWith(id),
  ) ?? { id: '', name: '', species: '', breed: '', birth_date: '' };
  return { status: 200, body: { id, name, species, breed, birth_date, ...rest } };
};

describe('runGroup()', () => {
  let folder: string;
  let children: Children;
  let load: Load;
  const servers: Server[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-bench-'));
    children = new Children(folder);
    load = await Load.start(children);
  });

  after(async () => {
    await children.stopAll();
    for (const server of servers) server.close().closeAllConnections();
    await rm(folder, { recursive: true });
  });

  it('times a server that answers correctly', async () => {
    const [result] = (await runCases({ right: rightly })).cases;
    assert.equal(result?.voided, null);
    assert.equal(result?.samples.length, 2);
    assert.ok(result?.samples.every(({ perSecond, p50Us }) => perSecond > 0 && p50Us > 0));
  });

  it('voids a server that answers wrongly before timing it, and goes on with the others', async () => {
    const wrong: Answer = (path) => {
      const { status, body } = rightly(path);
      return { status, body: Object.assign({}, body, { name: 'Pet of another tenant' }) };
    };
    const { cases } = await runCases({ wrong, right: rightly });
    assert.match(cases[0]?.voided ?? '', /^wrong reply: tiny, GET .* got .*another tenant/);
    assert.deepEqual(cases[0]?.samples, []);
    assert.equal(cases[1]?.voided, null);
  });

  it('voids a server that answers correctly at first and fails under load', async () => {
    let answers = 0;
    const tired: Answer = (path) => {
      answers += 1;
      return answers > 20 ? { status: 503, body: {} } : rightly(path);
    };
    const [result] = (await runCases({ tired })).cases;
    assert.match(result?.voided ?? '', /× status 503 and \d+ good replies$/);
  });

  it('alternates the rounds of two servers', async () => {
    const order: string[] = [];
    const noting = (name: string): Answer => {
      return (path) => {
        if (order.at(-1) !== name) order.push(name);
        return rightly(path);
      };
    };
    await runCases({ a: noting('a'), b: noting('b') });
    // Each target is checked first; then the rounds begin.
    assert.deepEqual(order, ['a', 'b', 'a', 'b', 'a', 'b']);
  });

  async function runCases(answers: Record<string, Answer>) {
    const cases = await Promise.all(Object.entries(answers).map(caseOf));
    return runGroup(
      { name: 'test', title: 'Test', cases },
      {
        load,
        cluster: { postmaster: null },
        rounds: 2,
        warmupMs: 20,
        measureMs: 300,
        random: seededRandom(1),
        onProgress: () => {},
      },
    );
  }

  async function caseOf([name, answer]: [string, Answer]): Promise<Case> {
    const server = createServer(({ url = '' }, outgoing) => {
      const { status, body } = answer(url);
      outgoing.writeHead(status).end(JSON.stringify(body));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const system = {
      name,
      server: {
        name,
        pid: process.pid,
        url: `http://127.0.0.1:${address.port}`,
        forgetLog: async () => {},
        stop: async () => {},
      },
      loadTenants: [tenant],
      headersOf: () => ({}),
    };
    return { name, system, operation: 'read', spread: 'uniform', tenants: 1, connections: 4 };
  }
});
