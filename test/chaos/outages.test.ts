import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { mainServer } from '../../src/kernel/tenant.ts';
import { Outages } from './outages.ts';
import { Pauses } from './pauses.ts';
import { secondServer, Whereabouts } from './whereabouts.ts';

describe('a refused call', () => {
  let outages: Outages;
  let whereabouts: Whereabouts;
  let pauses: Pauses;
  beforeEach(() => {
    [outages, whereabouts, pauses] = [new Outages(), new Whereabouts(), new Pauses()];
    whereabouts.mayBe('near', mainServer, 0);
    whereabouts.mayBe('far', secondServer, 0);
  });

  function isExplained(slug: string, sentMs: number): boolean {
    const call = { what: '', slug, sentMs, endedMs: sentMs + 10 };
    return outages.explain(call, { whereabouts, pauses });
  }

  it('is explained by a fault of the main server, for every tenant', () => {
    outages.ended('database', 1_000, 2_000);
    assert.deepEqual([isExplained('near', 1_500), isExplained('far', 1_500)], [true, true]);
  });

  it('is explained by a fault of the second server for its tenants alone, and for a while', () => {
    outages.ended('servers', 1_000, 2_000);
    assert.deepEqual([isExplained('near', 1_500), isExplained('far', 1_500)], [false, true]);
    assert.deepEqual([isExplained('far', 500), isExplained('far', 60_000)], [false, false]);
  });

  it('is explained on both servers while the tenant moves, and then on the new one alone', () => {
    outages.ended('servers', 1_000, 100_000);
    whereabouts.mayBe('far', mainServer, 10_000);
    whereabouts.is('far', mainServer, 20_000);
    assert.deepEqual([isExplained('far', 15_000), isExplained('far', 25_000)], [true, false]);
  });

  it('is not explained by a move', () => {
    outages.ended('moves', 1_000, 2_000);
    assert.equal(isExplained('far', 1_500), false);
  });

  it('is explained by a pause of the process', () => {
    pauses.begin(1_000)(2_000);
    assert.deepEqual([isExplained('near', 1_500), isExplained('near', 60_000)], [true, false]);
  });
});
