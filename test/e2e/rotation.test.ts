/** The key of the sealed context is replaced while two servers serve tenants of all modes. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { rotateSeals } from '../../src/control_plane/keys/rotate_seals.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { limits } from '../../src/limits.ts';
import { openServices } from '../../src/services.ts';
import { type Client, clientOf, onboard } from '../support/client.ts';
import { type Kennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

/** Processes that listen are notified long before; by the end the old key is refused. */
const propagationMs = 3_000;

/** Of each client. More load would only keep the machine busy. */
const betweenRequestsMs = 20;

describe('a rotation of the seals under load', () => {
  let database: TestDatabase;
  let servers: Kennel[];
  let calls: Client[];
  before(async () => {
    database = await testDatabase();
    servers = await Promise.all([startKennel(database.url), startKennel(database.url)]);
    const [server] = servers;
    assert.ok(server);
    const tenants = await Promise.all(
      isolationModes.map((isolation) => onboard(server, `${isolation}-pets`, { isolation })),
    );
    calls = servers.flatMap((one) => tenants.map((tenant) => clientOf(one, tenant)));
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await database.drop();
  });

  it('refuses no request', async (t) => {
    const environment = { DATABASE_URL: database.url };
    const { fleet, jobLocks, close } = await openServices(readConfig(environment), database.url);
    const refusals: string[] = [];
    let answers = 0;
    let rotating = true;
    const load = calls.map(async (call) => {
      while (rotating) {
        const { status, text } = await call('GET /api/pets');
        answers += 1;
        if (status !== 200) refusals.push(`${status} ${text}`);
        await pause(betweenRequestsMs);
      }
    });
    const { concurrency } = limits.seals;
    await rotateSeals(fleet, jobLocks, {
      propagationMs,
      concurrency,
      onProgress: () => {},
      onWait: () => {},
    });
    rotating = false;
    await Promise.all(load);
    close();
    for (const call of calls) assert.equal((await call('GET /api/pets')).status, 200);
    t.diagnostic(`${answers} requests meanwhile`);
    assert.ok(answers > 0);
    assert.deepEqual(refusals, []);
  });
});
