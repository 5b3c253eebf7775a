/**
 * The isolation mode is invisible to tenants: random scripts of API calls get the same answers from
 * a tenant in each of the modes and from a model that was written from the contract alone.
 *
 * The operator restores the tenants between the calls, and moves them beside the calls; `SCRIPT_ERRANDS` says in how many of 100 steps.
 * `SCRIPT_RUNS=5000 npm test -- same_script` plays more of them; `SCRIPT_SEED` and `SCRIPT_PATH`,
 * as a failure prints them, replay the one that failed.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { isolationModes } from '../../src/isolation/modes.ts';
import { bearer } from '../support/client.ts';
import { type Script, scriptsUpTo } from './same_script/calls.ts';
import { Model } from './same_script/model.ts';
import { type Home, Participant, type Send } from './same_script/participant.ts';
import { Difference, isMove, type Participants, type Played, play } from './same_script/play.ts';
import { isRecord } from './same_script/response.ts';
import { openScriptServer, type ScriptServer } from './same_script/script_server.ts';

const runs = Number(process.env.SCRIPT_RUNS ?? 6);
const seed = Number(process.env.SCRIPT_SEED ?? randomInt(2 ** 31));
const path = process.env.SCRIPT_PATH;
const errandsIn100 = Number(process.env.SCRIPT_ERRANDS ?? 2);

/** Enough calls for every kind to meet every other. */
const longest = 50;

/** For one script, far longer than it takes. */
const patienceMs = 60_000;

let server: ScriptServer;
before(async () => {
  server = await openScriptServer();
});
after(() => server.close());

describe('a random script of calls', () => {
  it('gets the same replies in all modes and from the model', async (test) => {
    const statuses: number[] = [];
    const options = { longest, errandsIn100, numRuns: runs, seed, ...(path && { path }) };
    const startedAt = performance.now();
    let moves = 0;
    const difference = await search(options, async (script) => {
      await server.clear();
      moves += script.filter(isMove).length * server.homes.length;
      for (const { status } of await play(script, participants())) statuses.push(status);
    });
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    test.diagnostic(
      `seed ${seed}, ${runs} scripts with ${moves} moves in ${seconds} s; calls by status:`,
    );
    test.diagnostic(tally(statuses));
    assert.ok(difference === null, difference?.report);
  });

  it('covers every status and every paged list', async () => {
    const played: Played[] = [];
    for (const script of fc.sample(scriptsUpTo(longest), { numRuns: 200, seed: 1 })) {
      played.push(...(await play(script, { ...participants(), servers: [] })));
    }
    const statuses = new Set(played.map(({ status }) => status));
    assert.deepEqual([...statuses].sort(), [200, 201, 204, 400, 401, 403, 404, 405, 409, 415, 422]);
    for (const list of ['pets', 'visits', 'users']) {
      const next = new RegExp(`cursor={${list}_cursor .* → 200$`);
      assert.ok(
        played.some(({ line }) => next.test(line)),
        `no second page of ${list}`,
      );
    }
  });
});

describe('control: the shortest script shows the difference', () => {
  it('when the model forgets that a pet was deleted', async (test) => {
    const lines = await shortest(test, { model: forgettingDeletes });
    assert.deepEqual(methods(lines).slice(0, 2), ['POST', 'DELETE']);
    assert.equal(lines.length, 3);
  });

  it("when one mode shows a neighbour's pet", async (test) => {
    const lines = await shortest(test, { shared: showingTheNeighbours });
    assert.deepEqual(methods(lines), ['GET']);
  });

  it('when one mode has its lists in another order', async (test) => {
    const lines = await shortest(test, { database: reversingLists });
    assert.equal(lines.length, 1);
  });
});

/** Alters the answers of one participant. */
type Fault = (send: Send, home: Home) => Send;

/** The participants before a script. */
function participants(): Participants {
  return {
    model: modelOf('model'),
    servers: server.homes.map((home) => new Participant(home.isolation, home, server.send)),
  };
}

/** Models alone, each with its fault if it has one: shrinking plays hundreds of scripts. */
function faultyModels(faults: Readonly<Record<string, Fault>>): Participants {
  const faulty = (name: string) => modelOf(name, faults[name]);
  return { model: faulty('model'), servers: isolationModes.map(faulty) };
}

function modelOf(name: string, fault: Fault = (send) => send): Participant {
  const model = new Model(server.plan);
  const home = model.createFixture();
  return new Participant(name, home, fault(model.send, home));
}

type FailedScript = { error: unknown; report: string };

/** Plays scripts until one fails, and then shorter ones as long as they fail. */
async function search(
  {
    longest: most,
    errandsIn100,
    ...options
  }: fc.Parameters<[Script]> & { longest: number; errandsIn100?: number },
  playOne: (script: Script) => Promise<void>,
): Promise<FailedScript | null> {
  const property = fc.asyncProperty(scriptsUpTo(most, errandsIn100), async (script) => {
    await playOne(script);
  });
  const {
    failed,
    errorInstance: error,
    ...details
  } = await fc.check(property, {
    ...options,
    timeout: patienceMs,
  });
  if (!failed) return null;
  const again = `SCRIPT_SEED=${details.seed} SCRIPT_PATH=${details.counterexamplePath}`;
  const script = error instanceof Difference ? '' : JSON.stringify(details.counterexample);
  return { error, report: `${error}\n${script}\nRepeat it: ${again} npm test -- same_script` };
}

/** The shortest script that shows the fault; always the same, because the seed is. */
async function shortest(
  test: TestContext,
  faults: Readonly<Record<string, Fault>>,
): Promise<readonly string[]> {
  const options = { longest: 10, numRuns: 500, seed: 1 };
  const found = await search(options, async (script) => {
    await play(script, faultyModels(faults));
  });
  assert.ok(found?.error instanceof Difference, found?.report ?? 'Cannot find a difference');
  for (const line of found.error.lines) test.diagnostic(line);
  return found.error.lines;
}

function forgettingDeletes(send: Send): Send {
  return async (line, body, headers) => {
    if (!/^DELETE .api.pets/.test(line)) return send(line, body, headers);
    const said = await send(line.replace('DELETE', 'GET'), body, headers);
    const { 'content-type': _, ...rest } = said.headers;
    return said.status === 200 ? { status: 204, headers: rest } : said;
  };
}

function showingTheNeighbours(send: Send, { ids, neighbour, keys }: Home): Send {
  const theirs = { 'x-tenant-id': neighbour, ...bearer(keys.neighbour) };
  return (line, body, headers) => {
    const leaks = line.startsWith(`GET /api/pets/${ids.get('neighbours_pet')}`);
    return send(line, body, leaks ? theirs : headers);
  };
}

function reversingLists(send: Send): Send {
  return async (line, body, headers) => {
    const said = await send(line, body, headers);
    if (!isRecord(said.body) || !Array.isArray(said.body.items)) return said;
    return { ...said, body: { ...said.body, items: said.body.items.toReversed() } };
  };
}

function methods(lines: readonly string[]): (string | undefined)[] {
  return lines.map((line) => /[A-Z]{3,}/.exec(line)?.[0]);
}

function tally(statuses: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  const sorted = [...counts].sort(([one], [two]) => one - two);
  return sorted.map(([status, count]) => `${status}: ${count}`).join(', ');
}
