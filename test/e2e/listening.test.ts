/** When a server binds its port and accepts connections, and how long it keeps them. */
import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { clientOf, onboard, send } from '../support/client.ts';
import { adminToken, type Kennel, runKennel, startKennel } from '../support/kennel.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { freePort } from '../support/programs.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

describe('a start', () => {
  it('refuses connections until it is ready, so that the first reply is 200', async () => {
    const port = await freePort();
    const first = firstStatus(`http://127.0.0.1:${port}`);
    const kennel = await startKennel(database.url, { PORT: `${port}` });
    assert.equal(await first, 200);
    await kennel.stop();
  });

  it('of two servers on one port fails for one of them with one line', async () => {
    const variables = { PORT: `${await freePort()}` };
    const starts = [1, 2].map(() => startKennel(database.url, variables));
    const [one, other] = await Promise.allSettled(starts);
    const started = [one, other].flatMap((start) =>
      start?.status === 'fulfilled' ? [start.value] : [],
    );
    assert.equal(started.length, 1);
    const failed = one?.status === 'rejected' ? one : other;
    const line = `Cannot listen on 127.0.0.1:${variables.PORT}: the port is taken; set PORT to another one`;
    assert.match(
      String(failed?.status === 'rejected' && failed.reason),
      new RegExp(`1: kennel: ${line}\n$`),
    );
    await started[0]?.stop();
  });

  it('reports a HOST that is not local before it asks the database', async () => {
    const { code, stderr } = await runKennel({
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
      ADMIN_TOKEN: adminToken,
      HOST: '203.0.113.1',
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^kennel: Cannot listen on 203\.0\.113\.1:0: .+\n$/);
  });
});

describe('KEEP_ALIVE_SECONDS', () => {
  it('is announced in the Keep-Alive header', async () => {
    const kennel = await startKennel(database.url, { KEEP_ALIVE_SECONDS: '7' });
    const { headers } = await send(kennel.url, 'GET /livez');
    assert.equal(headers['keep-alive'], 'timeout=7');
    await kennel.stop();
  });
});

describe('SHUTDOWN_DELAY_MS', () => {
  it('keeps serving after SIGTERM, also on new connections', async () => {
    const kennel = await startKennel(database.url, { SHUTDOWN_DELAY_MS: '3000' });
    const { slug, apiKey } = await onboard(kennel, 'delayed-pets');
    kennel.signal('SIGTERM');
    await until(async () => (await statusOf(kennel)) === 503);
    assert.equal((await clientOf(kennel, { slug, apiKey })('GET /api/me')).status, 200);
    const pet = { name: 'Late', species: 'sloth' };
    assert.equal((await clientOf(kennel, { slug, apiKey })('POST /api/pets', pet)).status, 201);
    const { code, stderr } = await kennel.ended;
    assert.equal(code, 0, stderr);
  });

  it('has a maximum', async () => {
    const { code, stderr } = await runKennel({ SHUTDOWN_DELAY_MS: '60001' });
    assert.equal(code, 78, stderr);
    assert.match(
      stderr,
      /^kennel: Cannot use SHUTDOWN_DELAY_MS: expected an integer from 0 to 60000\n$/,
    );
  });
});

/**
 * Connects until the server answers, each time on a new connection. For a connection that was
 * accepted and then reset, the error is the answer: a proxy could not resend its POST.
 */
async function firstStatus(url: string): Promise<number | string> {
  for (;;) {
    const status = await statusOf({ url }).catch(({ code }) => code);
    if (status !== 'ECONNREFUSED') return status;
    await setImmediate();
  }
}

function statusOf({ url }: Pick<Kennel, 'url'>): Promise<number> {
  return new Promise((resolve, reject) => {
    const incoming = (reply: IncomingMessage) => resolve(reply.resume().statusCode ?? 0);
    get(`${url}/readyz`, { agent: false }, incoming).once('error', reject);
  });
}
