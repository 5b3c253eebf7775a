/**
 * A client that guesses credentials is slowed down and named in the trail; other clients notice
 * nothing.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { formatApiKey } from '../../src/adapters/directory/api_key.ts';
import {
  LoginThrottle,
  type LoginThrottleLimits,
} from '../../src/adapters/login_throttle/login_throttle.ts';
import { limits } from '../../src/limits.ts';
import { type Answer, bearer, onboard, operatorOf, send } from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { adminToken } from '../support/kennel.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const { burst, waitingPerAddress } = limits.loginThrottle;
const flood = waitingPerAddress + 20;

/** A request that has to wait does so until `itIsOver`. */
let endWaits = () => {};
const pause = () =>
  new Promise<void>((resolve) => {
    const before = endWaits;
    endWaits = () => {
      before();
      resolve();
    };
  });

let database: TestDatabase;
let lab: Lab;
let apiKey: string;

before(async () => {
  database = await testDatabase();
  lab = await openGuarded();
  apiKey = (await onboard(lab, 'acme-pets')).apiKey;
});

after(async () => {
  await lab.close();
  await database.drop();
});

const credentials = [
  ["a tenant's key", 'GET /api/me', () => apiKey, '192.0.2.1', 200],
  ["the operator's token", 'GET /api/admin/tenants', () => adminToken, '192.0.2.2', 429],
] as const;

for (const [what, line, right, address, becomesOfRight] of credentials) {
  describe(`guessing ${what}`, () => {
    it('is neither delayed nor recorded up to the burst', async () => {
      for (let guess = 1; guess <= burst; guess += 1) {
        assert.equal((await ask(line, wrongKey(), address)).status, 401);
      }
      assert.equal(await guessesOf(address), 0);
    });

    it('is delayed after that, without an effect on other addresses', async () => {
      const answered: string[] = [];
      const note = (name: string) => (answer: Answer) => {
        answered.push(`${name} ${answer.status}`);
        return answer;
      };
      const guesses = Array.from({ length: flood }, () =>
        ask(line, wrongKey(), address).then(note('guess')),
      );
      await until(async () => (await waitingGuesses()) === waitingPerAddress);
      await Promise.all([
        ask(line, right(), address).then(note('right')),
        ask(line, wrongKey(), `${address}0`).then(note('elsewhere')),
      ]);
      assert.equal(await waitingGuesses(), waitingPerAddress);
      await until(() => answered.length === flood - waitingPerAddress + 2);
      endWaits();
      const refused = (await Promise.all(guesses)).find(({ status }) => status === 429);
      assert.equal(refused?.headers['retry-after'], '1');
      const late = answered.slice(-waitingPerAddress);
      assert.deepEqual([...new Set(late)], ['guess 401']);
      const sooner = answered.slice(0, -waitingPerAddress);
      assert.deepEqual(
        new Set(sooner),
        new Set(['guess 429', 'elsewhere 401', `right ${becomesOfRight}`]),
      );
    });

    it('is in the audit trail with its address', async () => {
      assert.equal(await guessesOf(address), becomesOfRight === 200 ? flood : flood + 1);
      assert.equal(await guessesOf(`${address}0`), 0);
    });
  });
}

describe("the operator's token among concurrent guesses", () => {
  it('is refused past the bound from any address of the network, and accepted from another', async () => {
    const at = (host: number) => `2001:db8:0:7::${host}`;
    const wrong = Array.from({ length: burst }, (_, host) =>
      ask('GET /metrics', wrongKey(), at(host)),
    );
    await Promise.all(wrong);
    const guesses = Array.from({ length: 2 * burst }, (_, host) =>
      ask('GET /metrics', host === burst ? adminToken : wrongKey(), at(host)),
    );
    await allButWaiting(guesses);
    endWaits();
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)].sort(), [401, 429]);
    assert.equal((await ask('GET /metrics', adminToken, '2001:db8:0:8::1')).status, 200);
  });

  it('control: is accepted when the bound is too high', async () => {
    const open = await openGuarded({ burst: 1_000_000 });
    const wrong = Array.from({ length: 2 * burst }, () =>
      ask('GET /metrics', wrongKey(), '192.0.2.4', open),
    );
    await Promise.all(wrong);
    const { status } = await ask('GET /metrics', adminToken, '192.0.2.4', open);
    await open.close();
    assert.equal(status, 200);
  });

  it('is accepted from an address that sent many wrong tenant keys', async () => {
    const guesses = Array.from({ length: 2 * burst }, () =>
      ask('GET /api/me', wrongKey(), '192.0.2.5'),
    );
    await allButWaiting(guesses);
    assert.equal((await ask('GET /metrics', adminToken, '192.0.2.5')).status, 200);
    endWaits();
    await Promise.all(guesses);
  });
});

describe('control: without the throttle', () => {
  it('a flood of guesses is neither delayed nor recorded', async () => {
    const open = await openGuarded({ burst: 1_000_000 });
    const guesses = Array.from({ length: burst + flood }, () =>
      ask('GET /api/me', wrongKey(), '192.0.2.3', open),
    );
    const statuses = new Set((await Promise.all(guesses)).map(({ status }) => status));
    await open.close();
    assert.deepEqual([...statuses], [401]);
    assert.equal(await guessesOf('192.0.2.3'), 0);
  });
});

describe('X-Forwarded-For', () => {
  it('is ignored unless a trusted proxy sent it, so that it hides no guesser', async () => {
    const direct = await openGuarded({}, '');
    for (let guess = 1; guess <= burst; guess += 1) {
      await ask('GET /api/me', wrongKey(), `198.51.100.${guess}`, direct);
    }
    const late = ask('GET /api/me', wrongKey(), '198.51.100.99', direct);
    await until(() => direct.app.throttle.stats.waiting === 1);
    endWaits();
    await late;
    await direct.close();
    assert.equal(await guessesOf('127.0.0.1'), 1);
  });
});

/** A server behind a proxy, with a throttle whose clock stands still: no failure is forgiven. */
function openGuarded(
  changed: Partial<LoginThrottleLimits> = {},
  proxies = '127.0.0.1/32',
): Promise<Lab> {
  return openLab(database.url, {
    variables: { TRUSTED_PROXIES: proxies },
    answerMs: 60_000,
    throttle: new LoginThrottle({ ...limits.loginThrottle, ...changed }, { nowMs: () => 0, pause }),
  });
}

function ask(line: string, token: string, address: string, { url } = lab): Promise<Answer> {
  const named = { 'x-tenant-id': 'acme-pets', 'x-forwarded-for': address };
  return send(url, line, undefined, { ...bearer(token), ...named });
}

async function waitingGuesses(): Promise<number> {
  const { text } = await operatorOf(lab)('GET /metrics');
  return samples(text).find(({ name }) => name === 'kennel_guesses_waiting')?.value ?? Number.NaN;
}

/** All are answered except those that wait: a later one would begin a new wait. */
async function allButWaiting(guesses: Promise<Answer>[]): Promise<void> {
  let answered = 0;
  for (const guess of guesses) void guess.then(() => (answered += 1));
  await until(() => answered === guesses.length - waitingPerAddress);
  assert.equal(await waitingGuesses(), waitingPerAddress);
}

/** How many guesses the trail counts from an address. */
async function guessesOf(address: string): Promise<number> {
  const { body } = await operatorOf(lab)('GET /api/admin/audit?event=credential_guessing');
  const events: { address: string; count: number }[] = body.items;
  return events
    .filter((event) => event.address === address)
    .reduce((sum, { count }) => sum + count, 0);
}

function wrongKey(): string {
  return formatApiKey(randomUUID(), randomBytes(32));
}
