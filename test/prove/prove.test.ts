/**
 * The part of the leak lab that runs with the tests: all attacks in shared mode, on the whole server and without
 * its layers, some on tenants that have moved, are moved or are restored, and a few with each layer alone in each
 * mode. `npm run prove` runs the rest.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isolationModes } from '../../src/isolation/modes.ts';
import { slugOf } from '../support/more_tables.ts';
import { serverUrl } from '../support/postgres.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import type { Attack } from './attack.ts';
import type { AttackResult } from './attack_result.ts';
import { context } from './attacks/context.ts';
import { ids } from './attacks/ids.ts';
import { moves } from './attacks/moves.ts';
import { naming } from './attacks/naming.ts';
import { servers } from './attacks/servers.ts';
import { attacks } from './attacks.ts';
import { attempt, experiment } from './experiment.ts';
import { Lab } from './lab.ts';
import type { LayerName } from './layer.ts';
import type { Setting } from './setting.ts';

const everyRun = [
  'a forged header',
  'the archive of another tenant',
  "the victim's id in the path",
];

/** Attacks that need a layer of the others, such as rights that a role has then. */
const hindered = [
  'the archive of another tenant',
  'X-Forwarded-Host without a proxy',
  'the key of a deleted tenant whose slug has a new owner',
  'a member who creates a key for an admin',
  "the metrics with a tenant's key",
  "the visits of the victim's pet",
  'SET ROLE to the owner, after a semicolon',
  'SET ROLE to the owner, as a separate statement',
  'a prepared statement replaced, by separate statements',
];

describe('the server in shared mode', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open({ main: await serverUrl() }, 'shared', new Set());
  });
  after(() => lab.close());

  for (const attack of attacks.filter(({ layers }) => layers.shared)) {
    it(`stops ${attack.name}`, async () => {
      const { breach, told } = await attempt(attack, lab);
      assert.equal(breach, null, told);
    });
  }
});

describe('the server in shared mode, without any layer', () => {
  const inShared = attacks.filter(({ layers }) => layers.shared);
  const isAlone = ({ name }: Attack) => hindered.includes(name);
  let lab: Lab;
  before(async () => {
    const all = inShared.flatMap(({ layers }) => layers.shared ?? []);
    lab = await Lab.open({ main: await serverUrl() }, 'shared', new Set(all));
  });
  after(() => lab.close());

  for (const attack of inShared.filter((one) => !isAlone(one))) {
    it(`control: ${attack.name} breaches`, async () => {
      const { breach, told } = await attempt(attack, lab);
      assert.notEqual(breach, null, told);
    });
  }

  for (const attack of inShared.filter(isAlone)) {
    it(`control: ${attack.name} breaches without its own layers`, async () => {
      const without = new Set(attack.layers.shared);
      const own = await Lab.open({ main: await serverUrl() }, 'shared', without);
      try {
        const { breach, told } = await attempt(attack, own);
        assert.notEqual(breach, null, told);
      } finally {
        await own.close();
      }
    });
  }
});

describe('the server, for tenants that have moved away and back', () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open({ main: await serverUrl() }, 'shared', new Set());
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

describe('the server, for a tenant that has moved to a second server', () => {
  let second: Awaited<ReturnType<typeof startTestCluster>>;
  let lab: Lab;
  before(async () => {
    second = await startTestCluster({ isCopy: false });
    lab = await Lab.open({ main: await serverUrl(), second: second.url }, 'servers', new Set());
  });
  after(async () => {
    await lab?.close();
    await second?.stop();
  });

  for (const attack of [...servers, ...ids].filter(({ layers }) => layers.servers)) {
    it(`stops ${attack.name}`, async () => {
      const { breach, told } = await attempt(attack, lab);
      assert.equal(breach, null, told);
    });
  }

  for (const { attack, layers } of withLayersLeft(servers, 'servers')) {
    it(`control: ${attack.name} breaches once the last of its layers is off, and not before`, () =>
      assertNeedsAll(attack, layers, lab));
  }
});

for (const [setting, whose] of [
  ['schema-to-database', 'that moves to a database of its own'],
  ['restoring', 'that is being restored'],
] as const) {
  describe(`the server, for a tenant ${whose}`, () => {
    let lab: Lab;
    before(async () => {
      lab = await Lab.open({ main: await serverUrl() }, setting, new Set());
    });
    after(() => lab?.close());

    for (const attack of moves.filter(({ layers }) => layers[setting])) {
      it(`stops ${attack.name}`, async () => {
        const { breach, told } = await attempt(attack, lab);
        assert.equal(breach, null, told);
      });
    }

    for (const { attack, layers } of withLayersLeft(moves, setting)) {
      it(`control: ${attack.name} breaches once the last of its layers is off, and not before`, () =>
        assertNeedsAll(attack, layers, lab));
    }
  });
}

describe('each layer alone', () => {
  const chosen = attacks.filter(({ name }) => everyRun.includes(name));
  let results: AttackResult[];
  before(async () => {
    const options = { attacks: chosen, settings: isolationModes, concurrentLabs: 2 };
    results = await experiment({ ...options, servers: { main: await serverUrl() } });
  });

  for (const mode of isolationModes) {
    for (const { name } of chosen) {
      it(`stops ${name} in ${mode} mode; control: without any layer it breaches`, () => {
        const result = results.find((one) => one.attack === name && one.setting === mode);
        assert.equal(result?.fault, null);
        assert.notEqual(result.control?.breach ?? null, null);
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

/**
 * Attacks whose layers can be taken off one by one in the same lab, with those that no attack before has lost. The
 * others have their controls in `npm run prove`.
 */
function withLayersLeft(
  those: readonly Attack[],
  setting: Setting,
): { attack: Attack; layers: LayerName[] }[] {
  const off = new Set<LayerName>();
  return those.flatMap((attack) => {
    const layers = attack.layers[setting]?.filter((layer) => !off.has(layer)) ?? [];
    for (const layer of layers) off.add(layer);
    return layers.length > 0 ? [{ attack, layers }] : [];
  });
}

async function assertNeedsAll(attack: Attack, layers: LayerName[], lab: Lab): Promise<void> {
  for (const layer of layers) {
    const { breach } = await attempt(attack, lab);
    assert.equal(breach, null, `with the layer "${layer}" still on`);
    await lab.takeOff(layer);
  }
  assert.notEqual((await attempt(attack, lab)).breach, null);
}
