/**
 * The audit trail of a server that is killed, that shuts down, and that cannot write its
 * checkpoints.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { verifyAudit } from '../../src/cli/verify_audit.ts';
import { readConfig } from '../../src/config.ts';
import { openServices } from '../../src/services.ts';
import { type Answer, type Onboarded, onboard } from '../support/client.ts';
import { startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { lookInto } from '../support/sql.ts';

const changes = 1_000;
const clients = 16;
const killedAfter = 700;

let database: TestDatabase;
let folder: string;

before(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'kennel-trail-'));
});

after(async () => {
  await database.drop();
  await rm(folder, { recursive: true });
});

describe('a server that is killed', () => {
  it('has recorded every acknowledged change once, in unbroken chains', async (t) => {
    const kennel = await startKennel(database.url, { LOG_LEVEL: 'warn' });
    const tenants = [await onboard(kennel, 'busy-pets'), await onboard(kennel, 'other-pets')];
    const answered = await changeAll(tenants, () => kennel.signal('SIGKILL'));
    assert.equal((await kennel.ended).signal, 'SIGKILL');
    t.diagnostic(`${answered.size} of ${changes} changes were answered before the kill`);
    assert.ok(answered.size >= killedAfter && answered.size < changes, String(answered.size));

    const recorded = await eventsByRequest();
    for (const id of answered) assert.equal(recorded.get(id), 1, id);
    for (const [id, events] of recorded) assert.equal(events, 1, id);
    // A call that was in progress may have been done or not, and nothing else may have happened.
    assert.ok(recorded.size <= answered.size + clients, String(recorded.size));
    assert.equal(await verify(), 0);
  });
});

describe('a server that stops', () => {
  it('has written checkpoints of its chains', async () => {
    const kennel = await startKennel(database.url, { DATA_DIR: folder });
    const { id, call } = await onboard(kennel, 'late-pets');
    await call('PUT /api/config/welcome_message', { value: 'Late' });
    await kennel.stop();
    const file = await readFile(join(folder, 'audit-checkpoints.jsonl'), 'utf8');
    const line = file.split('\n').findLast((text) => text.includes(id));
    assert.equal(JSON.parse(line ?? '{}').position, 2);
  });
});

describe('a server that cannot write its checkpoints', () => {
  it('serves, stops with exit code 0, and logs a warning', async () => {
    const unwritable = join(folder, 'unwritable');
    await mkdir(join(unwritable, 'audit-checkpoints.jsonl'), { recursive: true });
    const kennel = await startKennel(database.url, { DATA_DIR: unwritable });
    const { call } = await onboard(kennel, 'unwitnessed-pets');
    const { status } = await call('PUT /api/config/welcome_message', { value: 'Hi' });
    const { code, stdout, stderr } = await kennel.stop();
    assert.deepEqual([status, code], [200, 0], stderr);
    assert.match(
      stdout,
      /"level":"warn","msg":"audit checkpoints could not be written, will retry".*EISDIR/,
    );
  });
});

/**
 * Makes changes as long as the server answers.
 *
 * @returns the request ids of those that were done.
 */
async function changeAll(tenants: Onboarded[], kill: () => void): Promise<Set<string>> {
  const answered = new Set<string>();
  const users = await Promise.all(tenants.map(ownUser));
  let sent = 0;
  const changeOn = async () => {
    while (sent < changes) {
      const number = sent;
      sent += 1;
      const which = number % tenants.length;
      const tenant = tenants[which];
      if (!tenant) return;
      const id = `change-${number}`;
      const { status = 0 } = await change(tenant, number, { id, user: users[which] ?? '' });
      if (status < 300) answered.add(id);
      if (answered.size === killedAfter) kill();
    }
  };
  // A client ends when its answer does not come.
  await Promise.allSettled(Array.from({ length: clients }, changeOn));
  return answered;
}

async function ownUser({ call }: Onboarded): Promise<string> {
  return (await call('GET /api/me')).body.user.id;
}

type Marked = { id: string; user: string };

/** A setting, a user or a key. */
function change({ call }: Onboarded, number: number, { id, user }: Marked): Promise<Answer> {
  const headers = { 'x-request-id': id };
  const setting = { value: `Welcome ${number}` };
  const member = { email: `user-${number}@pets.example`, role: 'member' };
  switch (number % 3) {
    case 0:
      return call('PUT /api/config/welcome_message', setting, headers);
    case 1:
      return call('POST /api/users', member, headers);
    default:
      return call(`POST /api/users/${user}/keys`, undefined, headers);
  }
}

function eventsByRequest(): Promise<Map<string, number>> {
  return lookInto(database.url, async (sql) => {
    const rows = await sql<{ id: string; events: number }[]>`
      select request_id as id, count(*)::int as events
      from control.audit_events
      where request_id like 'change-%'
      group by request_id`;
    return new Map(rows.map(({ id, events }) => [id, events]));
  });
}

async function verify(): Promise<number> {
  const config = readConfig({ DATABASE_URL: database.url, DATA_DIR: folder });
  const services = await openServices(config, database.url);
  try {
    return await verifyAudit(services, { slug: null, json: false });
  } finally {
    services.close();
  }
}
