/** `make start` on a machine that has only Node: the embedded Postgres and the demo. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { clientOf } from '../support/client.ts';
import { curlLines, paste } from '../support/demo_lines.ts';
import { type Kennel, startEmbeddedKennel, startKennel } from '../support/kennel.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

describe('a start on a machine that has only Node', () => {
  let folder: string;
  let kennel: Kennel;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-embedded-'));
    kennel = await startEmbeddedKennel(folder);
  });

  after(async () => {
    await kennel.stop();
    await rm(folder, { recursive: true });
  });

  it('prints a curl line for each way to name a tenant, and each works when pasted', async () => {
    const lines = await curlLines(kennel);
    assert.equal(lines.length, 3);
    assert.match(String(lines[0]), /--resolve acme-pets\.localhost:\d+:127\.0\.0\.1 /);
    assert.match(kennel.stderr(), /Python, Node and Java may not find \*\.localhost/);
    for (const line of lines) assert.deepEqual(await paste(line), ['Sample Pet']);
  });

  it('writes demo keys, admin token and database URL readable by their owner alone', async () => {
    for (const name of ['demo.json', 'admin-token', 'database-url']) {
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
    }
    const token = await adminToken();
    const answer = await fetch(`${kennel.url}/api/admin/tenants`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(answer.status, 200);
  });

  it('logs that it listens', () => {
    assert.match(kennel.stdout(), /^\{.*"msg":"listening".*"url":"http:/m);
  });

  it('connects by the Unix socket of its Postgres, also when DATABASE_URL names it', async () => {
    const url = new URL((await readFile(join(folder, 'database-url'), 'utf8')).trim());
    const host = encodeURIComponent(join(folder, 'postgres'));
    const other = await startKennel(url.href.replace(url.hostname, host));
    assert.equal((await fetch(`${other.url}/readyz`)).status, 200);
    const connections = await lookInto(
      url.href,
      (sql) => sql<{ name: string; address: string | null }[]>`
        select application_name as name, client_addr as address
        from pg_stat_activity
        where application_name like 'kennel:%'`,
    );
    await other.stop();
    assert.equal(new Set(connections.map(({ name }) => name)).size, 2);
    assert.deepEqual(new Set(connections.map(({ address }) => address)), new Set([null]));
  });

  it('keeps its data over a restart, and prints no line for a demo tenant that was deleted', async () => {
    const id = await addPet();
    const authorization = `Bearer ${await adminToken()}`;
    const path = `${kennel.url}/api/admin/tenants/fluffy-friends`;
    await fetch(path, { method: 'DELETE', headers: { authorization } });
    const { code, stderr } = await kennel.stop();
    assert.equal(code, 0, stderr);
    kennel = await startEmbeddedKennel(folder);
    assert.equal((await acme()(`GET /api/pets/${id}`)).status, 200);
    const lines = await curlLines(kennel, 2);
    assert.doesNotMatch(lines.join(), /fluffy-friends/);
  });

  it('takes over the Postgres of a killed server', async () => {
    const id = await addPet();
    kennel.signal('SIGKILL');
    await kennel.ended;
    kennel = await startEmbeddedKennel(folder);
    assert.equal((await acme()(`GET /api/pets/${id}`)).status, 200);
  });

  it('recovers when the server and its Postgres were killed together', async () => {
    const id = await addPet();
    const pid = await postmaster();
    kennel.signal('SIGKILL');
    process.kill(pid, 'SIGKILL');
    await kennel.ended;
    kennel = await startEmbeddedKennel(folder);
    assert.equal((await acme()(`GET /api/pets/${id}`)).status, 200);
  });

  it('restarts its Postgres when that alone has died', async () => {
    const id = await addPet();
    process.kill(await postmaster(), 'SIGKILL');
    const ready = async () => (await fetch(`${kennel.url}/readyz`)).status;
    await until(async () => (await ready()) === 503);
    await until(async () => (await ready()) === 200, 60_000);
    assert.equal((await acme()(`GET /api/pets/${id}`)).status, 200);
    await until(() => kennel.stdout().includes('the embedded Postgres had died and was restarted'));
  });

  it('stops with exit code 0 although SIGTERM comes twice', async () => {
    kennel.signal('SIGTERM');
    kennel.signal('SIGTERM');
    const { code, stdout, stderr } = await kennel.ended;
    assert.deepEqual([code, stdout.includes('"msg":"stopped"')], [0, true], stderr);
    await assert.rejects(postmaster(), { code: 'ENOENT' });
    kennel = await startEmbeddedKennel(folder);
  });

  async function adminToken(): Promise<string> {
    return (await readFile(join(folder, 'admin-token'), 'utf8')).trim();
  }

  async function postmaster(): Promise<number> {
    const pidFile = join(folder, 'postgres', 'data', 'postmaster.pid');
    return Number((await readFile(pidFile, 'utf8')).split('\n')[0]);
  }

  function acme() {
    return clientOf(kennel, { slug: 'acme-pets', apiKey: keys['acme-pets'] ?? '' });
  }

  let keys: Record<string, string> = {};

  async function addPet(): Promise<string> {
    keys = JSON.parse(await readFile(join(folder, 'demo.json'), 'utf8'));
    const answer = await acme()('POST /api/pets', { name: 'Rex', species: 'dog' });
    assert.equal(answer.status, 201);
    return answer.body.id;
  }
});
