/**
 * Two servers behind a real nginx and a real HAProxy, configured as README says: each way to name a
 * tenant, the headers in which clients state their address, and restarts that no client notices.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type RequestOptions, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { bearer, type Headers, onboard } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { freePort, reportMissing } from '../support/programs.ts';
import { proxies, type RunningProxy, type StartProxy } from '../support/proxies.ts';
import { type SelfSigned, selfSigned } from '../support/self_signed.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

/** `ROLLS=20` runs more restarts. */
const rolls = Number(process.env.ROLLS ?? 1);
const clients = 6;
/** Of each client. More load would slow down the restarts, and so lengthen the test. */
const betweenRequestsMs = 50;
const baseDomain = 'pets.example';
const tls = selfSigned('127.0.0.1', baseDomain, `*.${baseDomain}`);

let database: TestDatabase;
let ports: readonly [number, number];
const kennels: Kennel[] = [];

before(async () => {
  database = await testDatabase();
  ports = [await freePort(), await freePort()];
  kennels.push(...(await Promise.all(ports.map(startOn))));
});

after(async () => {
  await Promise.all(kennels.map((kennel) => kennel.stop()));
  await database.drop();
});

function startOn(port: number): Promise<Kennel> {
  const variables = { BASE_DOMAIN: baseDomain, TRUSTED_PROXIES: '127.0.0.1', PORT: `${port}` };
  return startKennel(database.url, variables);
}

for (const [name, start] of Object.entries(proxies)) {
  const suite = `two servers behind ${name}`;
  if (!start) reportMissing(suite, `${name} is not installed`);
  else if (!tls) reportMissing(suite, 'openssl is not installed');
  else describe(suite, () => servers(start, tls));
}

function servers(startProxy: StartProxy, own: SelfSigned): void {
  const agent = new Agent({ keepAlive: true, ca: own.certificate });
  let proxy: RunningProxy;
  let tenant: { slug: string; apiKey: string };
  let other: { slug: string; apiKey: string };

  before(async () => {
    proxy = await startProxy(ports, own);
    const [first] = kennels;
    assert.ok(first);
    const suffix = proxy.port;
    tenant = await onboard(first, `acme-${suffix}`);
    other = await onboard(first, `other-${suffix}`);
    await until(async () => (await send('GET /api/me')).status === 200);
  });

  after(async () => {
    agent.destroy();
    await proxy.stop();
  });

  /** As a client that resolves the host by a wildcard in the DNS and checks the certificate. */
  async function send(
    line: string,
    { host = baseDomain, headers = {}, body, ...more }: Partial<Sent> = {},
  ) {
    const [method, path] = line.split(' ');
    const content = body === undefined ? undefined : JSON.stringify(body);
    const outgoing = request({
      ...{ agent, host: '127.0.0.1', port: proxy.port, servername: host, method, path, ...more },
      headers: {
        host,
        ...bearer(tenant.apiKey),
        ...(path?.startsWith('/api') && host === baseDomain ? { 'x-tenant-id': tenant.slug } : {}),
        ...(content ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
    });
    outgoing.end(content);
    const [incoming] = await once(outgoing, 'response');
    const received = await text(incoming);
    const json = `${incoming.headers['content-type']}`.includes('json');
    return {
      status: Number(incoming.statusCode),
      id: String(incoming.headers['x-request-id']),
      body: json && received !== '' ? JSON.parse(received) : received,
    };
  }

  it('find the tenant by the host under a wildcard certificate, the path and the header', async () => {
    const { slug } = tenant;
    const answers = await Promise.all([
      send('GET /api/me', { host: `${slug}.${baseDomain}` }),
      send(`GET /${slug}/api/me`),
      send('GET /api/me', { headers: { 'x-tenant-id': slug } }),
    ]);
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body.tenant?.slug]),
      answers.map(() => [200, slug]),
    );
  });

  it("refuse another tenant's key, and two names that disagree", async () => {
    const host = `${other.slug}.${baseDomain}`;
    assert.equal((await send('GET /api/me', { host })).status, 404);
    const headers = { 'x-tenant-id': tenant.slug };
    const { status, body } = await send('GET /api/me', { host, headers });
    assert.deepEqual([status, body.code], [400, 'tenant_ambiguous']);
  });

  it("take address and host from the proxy and not from the client's headers", async () => {
    const forged = {
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-host': `${other.slug}.${baseDomain}`,
      forwarded: `for=203.0.113.9;host=${other.slug}.${baseDomain}`,
    };
    const host = `${tenant.slug}.${baseDomain}`;
    // A client on the proxy's own address could not be told from the proxy.
    const asked = await send('GET /api/me', { host, headers: forged, localAddress: '127.0.0.2' });
    assert.deepEqual([asked.status, asked.body.tenant.slug], [200, tenant.slug]);
    const line = () => logged().find((text) => text.includes(asked.id));
    await until(() => line() !== undefined);
    assert.equal(JSON.parse(line() ?? '').client, '127.0.0.2');
  });

  it(`restart one after the other, ${rolls} times under load, without a failed request`, async (test) => {
    const failed: string[] = [];
    let created = 0;
    let rolling = true;
    test.after(() => {
      rolling = false;
    });
    const before = await pets();
    const client = async (_: unknown, at: number) => {
      for (let count = at; rolling; count += 1) {
        const post = count % 2 === 0;
        const body = post ? { name: 'Rex', species: 'dog' } : undefined;
        const line = post ? 'POST /api/pets' : 'GET /api/pets?limit=1';
        const status = await send(line, { body }).then(
          (answer) => answer.status,
          (error) => String(error),
        );
        if (status !== (post ? 201 : 200)) failed.push(`${line} ${status}`);
        else if (post) created += 1;
        await pause(betweenRequestsMs);
      }
    };
    const load = Array.from({ length: clients }, client);
    for (let roll = 0; roll < rolls; roll += 1) {
      for (const [at, port] of ports.entries()) {
        kennels[at]?.signal('SIGTERM');
        const ended = await kennels[at]?.ended;
        assert.equal(ended?.code, 0, ended?.stderr);
        const started = await startOn(port);
        kennels[at] = started;
        await until(() => started.stdout().includes('"route":"/api/pets"'), 30_000);
      }
    }
    rolling = false;
    await Promise.all(load);
    assert.deepEqual(failed, []);
    assert.ok(created > 0);
    assert.equal((await pets()) - before, created, 'no proxy has sent a POST twice');
  });

  function logged(): string[] {
    return kennels.flatMap((kennel) => kennel.stdout().split('\n'));
  }

  async function pets(): Promise<number> {
    const [row] = await lookInto(
      database.url,
      (sql) => sql<{ count: number }[]>`select count(*)::integer as count from shared.pets`,
    );
    return row?.count ?? 0;
  }
}

type Sent = Pick<RequestOptions, 'localAddress'> & {
  host: string;
  headers: Headers;
  body: object | undefined;
};
