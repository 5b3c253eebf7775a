import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outlookOf, tenantsWithin } from '../../bench/extrapolation.ts';
import { isMet, targetsOf } from '../../bench/targets.ts';
import { fixedResult } from './fixed_result.ts';

function target(name: string) {
  const found = targetsOf(fixedResult).find((one) => one.name === name);
  assert.ok(found);
  return found;
}

describe('targetsOf()', () => {
  it('takes ratios round by round', () => {
    assert.equal(target('shared-read').figure?.median, 0.9);
    assert.equal(isMet(target('shared-read')), true);
  });

  it('meets a target of which less is better', () => {
    assert.equal(target('neighbour').figure?.median, 1.2);
    assert.equal(isMet(target('neighbour')), true);
    assert.equal(isMet({ ...target('neighbour'), atLeast: 1.1 }), false);
  });

  it('has no figure where a case is void', () => {
    assert.equal(target('schema-read').figure, null);
    assert.equal(isMet(target('schema-read')), null);
  });

  it('names the compared cases', () => {
    assert.equal(target('many-tenants').label, 'shared, 1000 tenants ÷ shared, 10 tenants');
  });
});

describe('outlookOf()', () => {
  it('extrapolates linearly', () => {
    const outlook = outlookOf(fixedResult, 'schema', 10_000);
    assert.equal(outlook.onboardingSeconds, 1_000);
    assert.equal(outlook.catalogRows, 1_000_000);
    // 20 kB more for each tenant, on 16 connections.
    assert.equal(outlook.backendBytes, 16 * (2_800_000 + 20_000 * 10_000));
  });

  it('is null for a figure that was not measured', () => {
    assert.equal(outlookOf(fixedResult, 'database', 10_000).backendBytes, null);
    assert.equal(outlookOf(fixedResult, 'database', 10_000).connections, 10_000);
  });
});

describe('tenantsWithin()', () => {
  it('returns the number of tenants at which the memory is used up', () => {
    assert.equal(tenantsWithin(fixedResult, 'schema', 16 * (2_800_000 + 20_000 * 500)), 500);
  });
});
