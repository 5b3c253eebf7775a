/** The file beside the database, and what only it can show. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { AuditCheckpoints } from '../../../src/control_plane/audit/checkpoints.ts';
import {
  type AuditTrail,
  cutting,
  eventsEach,
  named,
  openAuditTrail,
  rewriting,
} from '../../support/audit_trail.ts';
import type { Registered } from '../../support/registered.ts';

let trail: AuditTrail;
let tenant: Registered;

before(async () => {
  trail = await openAuditTrail();
});

after(() => trail.close());

beforeEach(async () => {
  tenant = await trail.tenant();
});

afterEach(() => trail.forget(tenant));

describe('checkpoints', () => {
  let checkpoints: AuditCheckpoints;
  beforeEach(async () => {
    checkpoints = trail.checkpoints();
    await checkpoints.save();
  });

  it('find nothing in an unchanged trail', async () => {
    await trail.record(tenant, 11);
    assert.deepEqual(named(await trail.verify(tenant.slug, checkpoints)), []);
  });

  it('show a chain that was rewritten with all its hashes', async () => {
    await trail.falsify(rewriting(tenant.id));
    const found = await trail.verify(tenant.slug, checkpoints);
    assert.deepEqual(named(found), [['rewritten', eventsEach]]);
  });

  it('control: nothing else shows it', async () => {
    await trail.falsify(rewriting(tenant.id));
    assert.deepEqual(named(await trail.verify(tenant.slug)), []);
  });

  it('are not taken of a chain that was rewritten and has grown since', async () => {
    await trail.falsify(rewriting(tenant.id));
    await trail.record(tenant, 11);
    const before = await checkpoints.read();
    assert.deepEqual(await checkpoints.save(), [tenant.id]);
    assert.deepEqual(await checkpoints.read(), before);
    const found = await trail.verify(tenant.slug, checkpoints);
    assert.deepEqual(named(found), [['rewritten', eventsEach]]);
  });

  it('show a chain that was cut with its head', async () => {
    await trail.falsify(cutting(tenant.id));
    const found = await trail.verify(tenant.slug, checkpoints);
    assert.deepEqual(named(found), [['truncated', eventsEach - 1]]);
  });

  it('control: nothing else shows that', async () => {
    await trail.falsify(cutting(tenant.id));
    assert.deepEqual(named(await trail.verify(tenant.slug)), []);
  });

  it('show a chain that is gone with its tenant', async () => {
    await trail.forget(tenant);
    const { faults } = await trail.verify(null, checkpoints);
    const kinds = faults.filter(({ chain }) => chain === tenant.id).map(({ kind }) => kind);
    assert.deepEqual(kinds, ['chain missing', 'truncated']);
  });
});

describe('the file of checkpoints', () => {
  const file = 'checkpoints.jsonl';
  const path = () => join(trail.folder, file);
  const linesOf = async (chain: string) =>
    (await readFile(path(), 'utf8')).split('\n').filter((line) => line.includes(chain));

  it('gets a line for each chain that has moved, and is its owner’s alone', async () => {
    const checkpoints = trail.checkpoints(file);
    await checkpoints.save();
    await checkpoints.save();
    assert.equal((await linesOf(tenant.id)).length, 1);
    await trail.record(tenant, 11);
    await checkpoints.save();
    const [line = '', ...others] = (await linesOf(tenant.id)).slice(1);
    const { hash, ...rest } = JSON.parse(line);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(
      [rest, others],
      [
        {
          time: '2024-02-29T12:00:00.000Z',
          installation: 'this one',
          chain: tenant.id,
          position: eventsEach + 1,
        },
        [],
      ],
    );
    assert.equal((await stat(path())).mode & 0o777, 0o600);
  });

  it('keeps the newest line of each chain and installation when it is too long', async () => {
    const other = { time: 'x', installation: 'another', chain: tenant.id, position: 99, hash: '' };
    await trail.checkpoints(file).save();
    await appendFile(path(), `${JSON.stringify(other)}\n`);
    await trail.record(tenant, 11);
    await trail.checkpoints(file, 100).save();
    const kept = (await linesOf(tenant.id)).map((line) => JSON.parse(line));
    assert.deepEqual(
      kept.map(({ position }) => position),
      [eventsEach + 1, 99].sort(),
    );
    assert.deepEqual(named(await trail.verify(tenant.slug, trail.checkpoints(file))), []);
  });

  it('may end in half a line', async () => {
    await trail.checkpoints(file).save();
    await appendFile(path(), `{"time":"2024-02-29T12:00:00.000Z","chain":"${tenant.id}","pos`);
    await trail.record(tenant, 11);
    await trail.checkpoints(file).save();
    const found = (await trail.checkpoints(file).read()).filter(({ chain }) => chain === tenant.id);
    assert.deepEqual(
      found.map(({ position }) => position),
      [eventsEach, eventsEach + 1],
    );
  });

  it('is shared by processes that write at once', async () => {
    const processes = [trail.checkpoints(file), trail.checkpoints(file), trail.checkpoints(file)];
    await Promise.all(processes.map((one) => one.save()));
    const positions = (await linesOf(tenant.id)).map((line) => JSON.parse(line).position);
    assert.deepEqual([...new Set(positions)], [eventsEach]);
  });

  it('that cannot be written rejects the save of the caller, and has no other effect', async () => {
    await mkdir(join(trail.folder, 'folder'));
    await assert.rejects(trail.checkpoints('folder').save(), { code: 'EISDIR' });
    await trail.record(tenant, 11);
  });
});
