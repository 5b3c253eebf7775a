/**
 * The part of the leak lab that runs with the tests: all attacks on the whole server in shared
 * mode, and the controls of two attacks in each mode. `npm run prove` runs the rest.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { slugOf } from '../support/more_tables.ts';
import { serverUrl } from '../support/postgres.ts';
import type { AttackResult } from './attack_result.ts';
import { context } from './attacks/context.ts';
import { ids } from './attacks/ids.ts';
import { naming } from './attacks/naming.ts';
import { attacks } from './attacks.ts';
import { attempt, experiment } from './experiment.ts';
import { Lab } from './lab.ts';

const everyRun = [
  'a forged header',
  'the archive of another tenant',
  "the victim's id in the path",
];

describe('the server in shared mode', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open(await serverUrl(), 'shared', new Set());
  });
  after(() => lab.close());

  for (const attack of attacks.filter(({ layers }) => layers.shared)) {
    it(`stops ${attack.name}`, async () => {
      const { breach, told } = await attempt(attack, lab);
      assert.equal(breach, null, told);
    });
  }
});

describe('the server, for tenants that have moved away and back', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open(await serverUrl(), 'shared', new Set());
    const { moves } = lab.server.app.services;
    for (const { slug } of [lab.attacker, lab.victim]) {
      for (const to of ['schema', 'shared']) {
        await (await moves.begin({ slug: slugOf(slug), to, requestId: null })).finished;
      }
    }
  });
  after(() => lab.close());

  for (const attack of [...naming, ...ids, ...context].filter(({ layers }) => layers.shared)) {
    it(`stops ${attack.name}`, async () => {
      const { breach, told } = await attempt(attack, lab);
      assert.equal(breach, null, told);
    });
  }
});

describe('each layer alone', () => {
  const chosen = attacks.filter(({ name }) => everyRun.includes(name));
  let results: AttackResult[];
  before(async () => {
    const options = { attacks: chosen, modes: isolationModes, labsAtOnce: 2 };
    results = await experiment({ ...options, cluster: await serverUrl() });
  });

  for (const mode of isolationModes) {
    for (const { name } of chosen) {
      it(`stops ${name} in ${mode} mode; control: without any layer it breaches`, () => {
        const result = results.find((one) => one.attack === name && one.mode === mode);
        assert.equal(result?.fault, null);
        assert.notEqual(result.control.breach, null);
      });
    }
  }
});

describe('the list of attacks', () => {
  it('has at least 30 with different names', () => {
    assert.ok(attacks.length >= 30);
    assert.equal(new Set(attacks.map(({ name }) => name)).size, attacks.length);
  });
});
