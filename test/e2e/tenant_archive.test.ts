/** A tenant as a file over HTTP, and a new tenant that is made of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { importFrom, openArchive } from '../support/archives.ts';
import {
  assertProblem,
  bearer,
  type Client,
  clientOf,
  type Onboarded,
  onboard,
  operatorOf,
} from '../support/client.ts';
import { adminToken } from '../support/kennel.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { orphansIn, theTrail, tracesOf } from '../support/traces.ts';
import { until } from '../support/until.ts';

describe('the archive of a tenant', () => {
  let database: TestDatabase;
  let lab: Lab;
  let acme: Onboarded;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-archive-'));
    database = await testDatabase();
    lab = await openLab(database.url);
    acme = await onboard(lab, 'acme-pets', { isolation: 'schema' });
  });
  after(async () => {
    await lab.close();
    await database.drop();
    await rm(folder, { recursive: true });
  });

  async function download(path: string, headers: Record<string, string>) {
    const outgoing = request(`${lab.url}${path}`, { headers }).end();
    const [incoming]: IncomingMessage[] = await once(outgoing, 'response');
    assert.ok(incoming);
    const file = join(folder, path.replaceAll('/', '-'));
    await writeFile(file, await buffer(incoming));
    return { headers: incoming.headers, status: incoming.statusCode, file };
  }

  /** The paths that a script reads, once it has made some rows. */
  async function play(call: Client): Promise<string[]> {
    const made = [];
    for (const name of ['Rex', 'Tom', 'Sam']) {
      made.push((await call('POST /api/pets', { name, species: 'dog' })).body.id);
    }
    const [rex, tom] = made;
    await call(`POST /api/pets/${rex}/visits`, { visited_on: '2026-01-02', reason: 'check' });
    await call(`DELETE /api/pets/${tom}`);
    await call('PUT /api/config/welcome_message', { value: 'Woof' });
    await call('POST /api/users', { email: 'member@example.com', role: 'member' });
    const pets = [`/api/pets/${rex}`, `/api/pets/${tom}`, `/api/pets/${rex}/visits`];
    return [...pets, '/api/pets?limit=2', '/api/config', '/api/users', '/api/me', '/api/nothing'];
  }

  /** All that a client sees, but for its tenant and the request's id. */
  async function read(call: Client, paths: readonly string[]) {
    const seen = [];
    for (const path of paths) {
      const { status, headers, text } = await call(`GET ${path}`);
      const ownText = text.replace(/"tenant":\{[^}]*\}/, '').replace(/"request_id":"[^"]*"/, '');
      seen.push([path, status, headers['content-type'], headers.link, ownText]);
    }
    return seen;
  }

  it('is a tenant that answers the same, in every mode', async () => {
    const paths = await play(acme.call);
    const expected = await read(acme.call, paths);
    const { file, status, headers } = await download('/api/export', {
      'x-tenant-id': 'acme-pets',
      ...bearer(acme.apiKey),
    } as Record<string, string>);
    assert.equal(status, 200);
    assert.equal(headers['content-disposition'], 'attachment; filename="acme-pets.kennel.gz"');
    for (const mode of isolationModes) {
      const slug = `copy-${mode}`;
      const { admin } = await importFrom(file, lab.app.services, slug, mode);
      const call = clientOf(lab, { slug, apiKey: admin.api_key });
      assert.deepEqual(await read(call, paths), expected);
      // The copy is a tenant of its own.
      assert.equal((await call('POST /api/pets', { name: 'New', species: 'cat' })).status, 201);
    }
    assert.deepEqual(await read(acme.call, paths), expected);
  });

  for (const mode of isolationModes) {
    it(`is imported completely or not at all when the command is killed, in ${mode} mode`, async () => {
      const slug = `killed-${mode}`;
      const file = join(folder, '-api-export');
      const { PATH = '' } = process.env;
      const words = ['import', file, '--slug', slug, '--isolation', mode];
      const child = spawn(process.execPath, [...nodeScript('src/cli/tenants.ts'), ...words], {
        env: { PATH, DATABASE_URL: database.url, ADMIN_TOKEN: adminToken, DATA_DIR: folder },
        stdio: 'ignore',
      });
      const exited = once(child, 'exit');
      const { control, onboarding } = lab.app.services;
      const statuses = () => control<{ status: string }>`
        select status from control.tenants where slug = ${slug}`;
      await until(async () => (await statuses()).length > 0, 60_000);
      child.kill('SIGKILL');
      await exited;
      // The backends of the killed process may still run its last statement.
      await until(async () => {
        await onboarding.recover();
        return (await statuses()).every(({ status }) => status === 'active');
      }, 60_000);
      if ((await statuses()).length > 0) return;
      const left = [...(await tracesOf(database.url, [slug])), ...(await orphansIn(database.url))];
      assert.deepEqual(
        left.filter((trace) => !theTrail.includes(trace)),
        [],
      );
      const { tenant } = await importFrom(file, lab.app.services, slug, mode);
      assert.equal(tenant.status, 'active');
    });
  }

  it('is for admins, once an hour, and recorded before it leaves', async () => {
    const again = await acme.call('GET /api/export');
    assertProblem(again, 429, 'rate_limited');
    assert.match(again.headers['retry-after'] ?? '', /^\d{2,4}$/);
    const { body } = await acme.call('GET /api/audit');
    const exported = body.items.filter(
      ({ event }: { event: string }) => event === 'tenant_exported',
    );
    const { user } = (await acme.call('GET /api/me')).body;
    assert.deepEqual(
      exported.map(({ actor, with_keys }: { actor: string; with_keys: boolean }) => [
        actor,
        with_keys,
      ]),
      [[`user:${user.id}`, false]],
    );
    const users = (await acme.call('GET /api/users')).body.items;
    const member = users.find(({ role }: { role: string }) => role === 'member');
    const key = (await acme.call(`POST /api/users/${member.id}/keys`)).body.api_key;
    const asMember = clientOf(lab, { slug: 'acme-pets', apiKey: key });
    assertProblem(await asMember('GET /api/export'), 403, 'forbidden');
  });

  it('is made once when two admins ask for it at the same moment', async () => {
    const { call } = await onboard(lab, 'two-admins');
    const answers = await Promise.all([call('GET /api/export'), call('GET /api/export')]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 429]);
  });

  it('is not made for HEAD', async () => {
    const { call } = await onboard(lab, 'only-asking');
    assert.equal((await call('HEAD /api/export')).status, 200);
    assert.equal((await call('HEAD /api/export')).status, 200);
    assert.equal((await call('GET /api/export')).status, 200);
    assert.equal((await call('HEAD /api/export')).status, 429);
  });

  it('is there for the operator at any time, also of a suspended tenant', async () => {
    const operator = operatorOf(lab);
    await operator('PATCH /api/admin/tenants/acme-pets', { status: 'suspended' });
    const path = '/api/admin/tenants/acme-pets/export';
    const token = bearer(adminToken) as Record<string, string>;
    for (const _ of [1, 2]) {
      const { file, status } = await download(path, token);
      assert.equal(status, 200);
      assert.equal((await openArchive(file)).header.tenant.slug, 'acme-pets');
    }
    assertProblem(await operator('GET /api/admin/tenants/nobody-here/export'), 404, 'not_found');
  });
});
